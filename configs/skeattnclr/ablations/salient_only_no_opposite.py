"""The salient loss alone, without the opposite half as a negative (Table 7)."""

_base_ = '../stgcn_ntu60_xsub.py'
model = dict(mu=1.0, opposite_negative=False)
