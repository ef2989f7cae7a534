_base_ = [
    '../_base_/datasets/kinect20.py',
    '../_base_/pipelines/short.py',
    '../_base_/models/slim_small.py',
    '../_base_/schedules/adamw_slim_small.py',
    '../_base_/slim_small_runtime.py',
]
_base_.merge(_base_.pop('short'))
