_base_ = [
    '../_base_/datasets/ntu60_xview.py',
    '../_base_/models/skelemixclr_released.py',
    '../_base_/schedules/sgd_never_lowered.py',
    '../_base_/skelemixclr_released_runtime.py',
]
