"""An encoder half as wide."""

_base_ = '../stgcn_ntu60_xsub.py'
model = dict(backbone=dict(base_channels=32))
