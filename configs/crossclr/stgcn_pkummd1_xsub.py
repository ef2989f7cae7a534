_base_ = [
    '../_base_/datasets/pkummd1_xsub.py',
    '../_base_/models/crossclr.py',
    '../_base_/schedules/sgd_300e.py',
    '../_base_/mining_runtime.py',
]
