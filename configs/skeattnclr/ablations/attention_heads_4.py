"""Half as many attention heads, each twice as wide."""

_base_ = '../stgcn_ntu60_xsub.py'
model = dict(mhsam=dict(num_heads=4))
