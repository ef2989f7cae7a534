_base_ = [
    '../_base_/datasets/ntu60_xview_50frames.py',
    '../_base_/models/hiclr_released.py',
    '../_base_/schedules/sgd_300e.py',
    '../_base_/released_mining_runtime.py',
]
