"""The key encoder is updated before the next forward pass, with the weights of the previous step."""

_base_ = '../stgcn_ntu60_xsub.py'
default_hooks = dict(momentum=dict(timing='before_step'))
