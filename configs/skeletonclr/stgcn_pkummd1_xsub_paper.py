_base_ = [
    '../_base_/datasets/pkummd1_xsub.py',
    '../_base_/models/skeletonclr_paper.py',
    '../_base_/schedules/sgd_300e.py',
    '../_base_/default_runtime.py',
]
