"""A mask that stays as it starts."""

_base_ = '../stgcn_ntu60_xsub.py'
model = dict(mask_gradient=False)
