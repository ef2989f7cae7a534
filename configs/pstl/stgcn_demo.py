_base_ = [
    '../_base_/datasets/demo_xsub.py',
    '../_base_/models/pstl_small.py',
    '../_base_/schedules/adamw_small.py',
    '../_base_/small_single_encoder_runtime.py',
    '../_base_/demo.py',
]
_base_.merge(_base_.pop('demo'))
