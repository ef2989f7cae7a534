"""STARS in minutes, after configs/mamp/transformer_demo.py."""

_base_ = [
    '../_base_/datasets/demo_xsub.py',
    '../_base_/pipelines/translated_small.py',
    '../_base_/models/stars_small.py',
    '../_base_/schedules/adamw_stars_small.py',
    '../_base_/stars_small_runtime.py',
    '../_base_/demo_transformer.py',
]
_base_.merge(_base_.pop('translated'))
_base_.merge(_base_.pop('demo'))
load_from = 'work_dirs/mamp/transformer_demo'
