_base_ = [
    '../_base_/datasets/nwucla_xview.py',
    '../_base_/models/pstl_small.py',
    '../_base_/schedules/adamw_small.py',
    '../_base_/small_single_encoder_runtime.py',
    '../_base_/recipes/nwucla.py',
]
_base_.merge(_base_.pop('recipe'))
