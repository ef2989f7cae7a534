"""The default runtime for methods that also take positives from the queue, in the second half of the training."""

_base_ = './default_runtime.py'
default_hooks = dict(mining=dict(type='MiningHook', begin=0.5))
