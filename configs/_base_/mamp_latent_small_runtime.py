"""The runtime of small sets without queue; the teacher follows within a few epochs."""

_base_ = './small_runtime.py'
default_hooks = dict(momentum=dict(base_momentum=0.99, schedule='linear'), queue=None)
