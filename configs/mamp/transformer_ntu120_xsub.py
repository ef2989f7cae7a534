_base_ = [
    '../_base_/datasets/ntu120_xsub.py',
    '../_base_/pipelines/translated.py',
    '../_base_/models/mamp_deep.py',
    '../_base_/schedules/adamw_mamp.py',
    '../_base_/single_encoder_runtime.py',
]
_base_.merge(_base_.pop('translated'))
model = dict(tau=0.75)
