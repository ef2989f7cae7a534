"""One encoder for two skeletons, which knows joints by name; `tools/test.py --dataset` evaluates it on others."""

_base_ = [
    '../_base_/datasets/layouts.py',
    '../_base_/pipelines/translated_small.py',
    '../_base_/models/mamp_small.py',
    '../_base_/schedules/adamw_mamp_small.py',
    '../_base_/small_single_encoder_runtime.py',
]
_base_.merge(_base_.pop('translated'))
model = dict(persons='present')
