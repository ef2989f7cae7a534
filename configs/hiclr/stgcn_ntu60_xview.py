_base_ = [
    '../_base_/datasets/ntu60_xview.py',
    '../_base_/models/hiclr.py',
    '../_base_/schedules/sgd_300e.py',
    '../_base_/mining_runtime.py',
]
