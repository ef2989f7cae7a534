"""The key encoder starts with independent weights, as in the release."""

_base_ = '../stgcn_ntu60_xsub.py'
model = dict(key_init='independent')
