"""The key encoder's momentum is constant."""

_base_ = '../stgcn_ntu60_xsub.py'
default_hooks = dict(momentum=dict(base_momentum=0.999, schedule='constant'))
