_base_ = './small_runtime.py'
default_hooks = dict(momentum=None, queue=None)
