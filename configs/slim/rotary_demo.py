"""SLiM in minutes."""

_base_ = [
    '../_base_/datasets/demo_xsub.py',
    '../_base_/models/slim_small.py',
    '../_base_/schedules/adamw_slim_small.py',
    '../_base_/slim_small_runtime.py',
    '../_base_/demo_transformer.py',
]
_base_.merge(_base_.pop('demo'))
train_cfg = dict(max_epochs=28)
