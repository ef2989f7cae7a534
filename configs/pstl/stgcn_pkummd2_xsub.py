_base_ = [
    '../_base_/datasets/pkummd2_xsub.py',
    '../_base_/models/pstl.py',
    '../_base_/schedules/adam_150e.py',
    '../_base_/single_encoder_runtime.py',
]
