_base_ = [
    '../_base_/datasets/demo_xsub.py',
    '../_base_/models/skeattnclr_small.py',
    '../_base_/schedules/adamw_small.py',
    '../_base_/small_runtime.py',
]
dataset = dict(pipeline=dict(resample=dict(num_frames=32)))
model = dict(
    backbone=dict(base_channels=8, out_channels=64),
    data_preprocessor=dict(views=dict(mix=dict(skelemix=dict(units=(2, 4))))),  # of 8: the paper's share
    persons='present',
)
train_cfg = dict(max_epochs=24)
evaluation = dict(interval=4)
