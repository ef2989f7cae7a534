_base_ = [
    '../_base_/datasets/ntu60_xsub.py',
    '../_base_/models/skeattnclr_released.py',
    '../_base_/schedules/sgd_300e.py',
    '../_base_/skeattnclr_released_runtime.py',
    '../_base_/streams/bone.py',
]
