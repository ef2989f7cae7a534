_base_ = [
    '../_base_/datasets/ntu60_xsub.py',
    '../_base_/models/supervised.py',
    '../_base_/schedules/sgd_300e.py',
    '../_base_/supervised_runtime.py',
]
