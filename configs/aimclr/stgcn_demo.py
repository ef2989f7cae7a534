_base_ = [
    '../_base_/datasets/demo_xsub.py',
    '../_base_/models/aimclr_small.py',
    '../_base_/schedules/adamw_small.py',
    '../_base_/small_mining_runtime.py',
    '../_base_/demo.py',
]
_base_.merge(_base_.pop('demo'))
