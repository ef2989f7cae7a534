"""A steeper mask."""

_base_ = '../stgcn_ntu60_xsub.py'
model = dict(mhsam=dict(lam=4.0))
