"""SkeAttnCLR for sets of a thousand clips: a narrow encoder without dropout, a queue of half the set."""

_base_ = './skeattnclr.py'
model = dict(
    backbone=dict(base_channels=16, out_channels=128, dropout=0.0),
    queue=dict(size=512),
)
