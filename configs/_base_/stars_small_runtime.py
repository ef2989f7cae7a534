"""The runtime of small sets without key encoder."""

_base_ = './small_runtime.py'
default_hooks = dict(momentum=None)
