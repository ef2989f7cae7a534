"""The default runtime without key encoder and queue."""

_base_ = './default_runtime.py'
default_hooks = dict(momentum=None, queue=None)
