"""A mask with one value per frame, which all joints and channels share."""

_base_ = '../stgcn_ntu60_xsub.py'
model = dict(mhsam=dict(granularity='frame'))
