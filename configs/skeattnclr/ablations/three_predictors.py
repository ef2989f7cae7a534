"""The released heads: behind the projector three predictors, on the query side alone."""

_base_ = '../stgcn_ntu60_xsub.py'
model = dict(heads='released')
