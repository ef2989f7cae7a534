_base_ = './released_runtime.py'
default_hooks = dict(mining=dict(type='MiningHook', begin=150))
