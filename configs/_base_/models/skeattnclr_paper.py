"""SkeAttnCLR at the width of its release, four times that of the other methods."""

_base_ = './skeattnclr.py'
model = dict(backbone=dict(base_channels=64))
