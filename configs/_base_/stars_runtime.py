"""The default runtime without key encoder, for few epochs."""

_base_ = './default_runtime.py'
default_hooks = dict(momentum=None)
evaluation = dict(interval=5)
