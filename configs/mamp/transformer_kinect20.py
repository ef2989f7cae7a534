"""One encoder for both small sets; `tools/test.py --dataset` evaluates it on each."""

_base_ = [
    '../_base_/datasets/kinect20.py',
    '../_base_/pipelines/translated_small.py',
    '../_base_/models/mamp_small.py',
    '../_base_/schedules/adamw_mamp_small.py',
    '../_base_/small_single_encoder_runtime.py',
]
_base_.merge(_base_.pop('translated'))
