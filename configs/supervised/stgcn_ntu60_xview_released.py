_base_ = [
    '../_base_/datasets/ntu60_xview_raw.py',
    '../_base_/models/supervised_released.py',
    '../_base_/schedules/sgd_supervised.py',
    '../_base_/supervised_runtime.py',
]
