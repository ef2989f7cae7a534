"""STARS for sets of a thousand clips, on the encoder of mamp_small.py."""

_base_ = './stars.py'
model = dict(
    backbone=dict(out_channels=128, depth=4, num_heads=4, num_frames=32),
    predictor=dict(hidden_channels=512),
    queue=dict(size=512),
)
