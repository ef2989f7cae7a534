_base_ = [
    '../_base_/datasets/pkummd1_xsub.py',
    '../_base_/pipelines/translated_64.py',
    '../_base_/models/slim.py',
    '../_base_/schedules/adamw_slim.py',
    '../_base_/slim_runtime.py',
]
_base_.merge(_base_.pop('translated'))
