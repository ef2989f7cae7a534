_base_ = [
    '../_base_/datasets/nwucla_xview.py',
    '../_base_/pipelines/translated_small.py',
    '../_base_/models/stars_small.py',
    '../_base_/schedules/adamw_stars_small.py',
    '../_base_/stars_small_runtime.py',
]
_base_.merge(_base_.pop('translated'))
load_from = 'work_dirs/mamp/transformer_nwucla_xview'
