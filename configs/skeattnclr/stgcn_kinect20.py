"""One encoder for both small sets; `tools/test.py --dataset` evaluates it on each."""

_base_ = [
    '../_base_/datasets/kinect20.py',
    '../_base_/models/skeattnclr_small.py',
    '../_base_/schedules/adamw_small.py',
    '../_base_/small_runtime.py',
]
