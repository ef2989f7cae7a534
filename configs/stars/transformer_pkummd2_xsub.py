_base_ = [
    '../_base_/datasets/pkummd2_xsub.py',
    '../_base_/pipelines/translated.py',
    '../_base_/models/stars.py',
    '../_base_/schedules/adamw_stars_pkummd.py',
    '../_base_/stars_runtime.py',
]
_base_.merge(_base_.pop('translated'))
load_from = 'work_dirs/mamp/transformer_pkummd2_xsub'
