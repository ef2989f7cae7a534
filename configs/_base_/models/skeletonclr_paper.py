"""SkeletonCLR as the SkeAttnCLR paper's Baseline*: SkeAttnCLR's settings, the unstated width and temperature too."""

_base_ = './skeletonclr.py'
model = dict(backbone=dict(base_channels=64))
