_base_ = [
    '../_base_/datasets/ntu120_xset.py',
    '../_base_/models/skeletonclr.py',
    '../_base_/schedules/sgd_300e.py',
    '../_base_/default_runtime.py',
]
