"""The graph of the other methods' releases: nearly all edges are in one of three subsets."""

_base_ = '../stgcn_ntu60_xsub.py'
model = dict(backbone=dict(graph='spatial'))
