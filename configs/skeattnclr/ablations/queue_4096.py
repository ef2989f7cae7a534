"""An eighth of the negatives."""

_base_ = '../stgcn_ntu60_xsub.py'
model = dict(queue=dict(size=4096))
