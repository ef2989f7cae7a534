"""A mask with one value per joint, which all frames and channels share."""

_base_ = '../stgcn_ntu60_xsub.py'
model = dict(mhsam=dict(granularity='joint'))
