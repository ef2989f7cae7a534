"""SkeAttnCLR in two minutes: the mixing is gentler than the paper's, which wants a longer training."""

_base_ = [
    '../_base_/datasets/demo_xsub.py',
    '../_base_/models/skeattnclr_small.py',
    '../_base_/schedules/adamw_small.py',
    '../_base_/small_runtime.py',
]
model = dict(
    backbone=dict(base_channels=8, out_channels=64),
    mhsam=dict(num_heads=2),
    data_preprocessor=dict(views=dict(mix=dict(skelemix=dict(parts=(1, 2), units=(1, 3))))),
    persons='present',
)
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=dict(mhsam=dict(lr_mult=0.1))))  # to see it move so soon
train_cfg = dict(max_epochs=14)
evaluation = dict(interval=2)
