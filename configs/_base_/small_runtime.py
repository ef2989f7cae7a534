"""The default runtime with a key encoder that follows within a few epochs of a small set."""

_base_ = './default_runtime.py'
default_hooks = dict(momentum=dict(base_momentum=0.95))
evaluation = dict(interval=10)
