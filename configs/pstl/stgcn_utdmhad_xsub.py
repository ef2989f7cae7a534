_base_ = [
    '../_base_/datasets/utdmhad_xsub.py',
    '../_base_/models/pstl_small.py',
    '../_base_/schedules/adamw_small.py',
    '../_base_/small_single_encoder_runtime.py',
]
