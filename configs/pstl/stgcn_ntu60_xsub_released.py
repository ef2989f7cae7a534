_base_ = [
    '../_base_/datasets/ntu60_xsub_50frames.py',
    '../_base_/models/pstl_released.py',
    '../_base_/schedules/adam_150e.py',
    '../_base_/single_encoder_runtime.py',
]
