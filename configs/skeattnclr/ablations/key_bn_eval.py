"""The key encoder normalises by running statistics."""

_base_ = '../stgcn_ntu60_xsub.py'
model = dict(key_bn='eval')
