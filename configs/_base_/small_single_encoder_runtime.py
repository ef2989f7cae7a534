"""The runtime of small sets for methods without key encoder and queue."""

_base_ = './small_runtime.py'
default_hooks = dict(momentum=None, queue=None)
