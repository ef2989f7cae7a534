"""A mask that keeps its initial weights."""

_base_ = '../stgcn_ntu60_xsub.py'
model = dict(mask_gradient=False)
