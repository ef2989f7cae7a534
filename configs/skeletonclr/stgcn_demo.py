_base_ = [
    '../_base_/datasets/demo_xsub.py',
    '../_base_/models/skeletonclr_small.py',
    '../_base_/schedules/adamw_small.py',
    '../_base_/small_runtime.py',
]
model = dict(
    backbone=dict(base_channels=8, out_channels=64),
    persons='present',
)
train_cfg = dict(max_epochs=14)
evaluation = dict(interval=2)
