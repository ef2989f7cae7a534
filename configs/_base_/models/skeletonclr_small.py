"""SkeletonCLR with the settings of skeattnclr_small.py."""

_base_ = './skeletonclr.py'
model = dict(
    backbone=dict(base_channels=16, out_channels=128, dropout=0.0),
    queue=dict(size=256),
    loss=dict(temperature=0.1),
    init_cfg=None,
)
