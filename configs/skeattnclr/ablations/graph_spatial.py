"""The graph that the other methods' releases ran: nearly all edges in one of three subsets."""

_base_ = '../stgcn_ntu60_xsub.py'
model = dict(backbone=dict(graph='spatial'))
