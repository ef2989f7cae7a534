"""MAMP for sets of a thousand clips of 32 frames: half the width, 4 layers. Short clips are cropped, too."""

_base_ = './mamp.py'
model = dict(
    data_preprocessor=dict(views=dict(query=dict(crop=dict(min_frames=16)))),
    backbone=dict(out_channels=128, depth=4, num_heads=4, num_frames=32),
    decoder=dict(depth=2, num_heads=4),
)
