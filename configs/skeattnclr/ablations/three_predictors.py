"""The released heads: three predictors after the projector, only on the query side."""

_base_ = '../stgcn_ntu60_xsub.py'
model = dict(heads='released')
