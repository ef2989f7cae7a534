_base_ = [
    '../_base_/datasets/utdmhad_xsub.py',
    '../_base_/models/skelemixclr_small.py',
    '../_base_/schedules/adamw_small.py',
    '../_base_/small_runtime.py',
]
