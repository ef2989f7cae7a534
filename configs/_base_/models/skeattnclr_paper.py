"""SkeAttnCLR at the width of its release: four times that of the methods it is compared with."""

_base_ = './skeattnclr.py'
model = dict(backbone=dict(base_channels=64))
