"""No half of a clip is the other's negative (Table 7)."""

_base_ = '../stgcn_ntu60_xsub.py'
model = dict(opposite_negative=False)
