_base_ = [
    '../_base_/datasets/ntu60_xsub.py',
    '../_base_/models/skeattnclr.py',
    '../_base_/schedules/sgd_300e.py',
    '../_base_/default_runtime.py',
]
