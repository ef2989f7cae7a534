"""The default runtime without queue, with Skeleton2vec's teacher."""

_base_ = './default_runtime.py'
default_hooks = dict(momentum=dict(base_momentum=0.9999, schedule='linear'), queue=None)
