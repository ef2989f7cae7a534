"""The non-salient loss alone."""

_base_ = '../stgcn_ntu60_xsub.py'
model = dict(mu=0.0)
