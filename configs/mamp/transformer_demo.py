"""MAMP in minutes."""

_base_ = [
    '../_base_/datasets/demo_xsub.py',
    '../_base_/pipelines/translated_small.py',
    '../_base_/models/mamp_small.py',
    '../_base_/schedules/adamw_mamp_small.py',
    '../_base_/mamp_small_runtime.py',
]
_base_.merge(_base_.pop('translated'))
model = dict(backbone=dict(out_channels=64), persons='present')
train_cfg = dict(max_epochs=28)
evaluation = dict(interval=4)
