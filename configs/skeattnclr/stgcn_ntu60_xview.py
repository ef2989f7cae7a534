_base_ = [
    '../_base_/datasets/ntu60_xview.py',
    '../_base_/models/skeattnclr_paper.py',
    '../_base_/schedules/sgd_300e.py',
    '../_base_/default_runtime.py',
]
