"""Local negatives pooled under the query's own mask."""

_base_ = '../stgcn_ntu60_xsub.py'
model = dict(negatives='matched')
