"""MAMP with the decoder of NTU-120 and PKU-MMD."""

_base_ = './mamp.py'
model = dict(decoder=dict(depth=5))
