_base_ = './small_runtime.py'
default_hooks = dict(mining=dict(type='MiningHook', begin=0.5))
