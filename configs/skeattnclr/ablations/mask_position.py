"""A mask with one value per position, which all channels share."""

_base_ = '../stgcn_ntu60_xsub.py'
model = dict(mhsam=dict(granularity='position'))
