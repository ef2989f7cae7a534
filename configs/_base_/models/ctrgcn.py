"""CTR-GCN in place of a method's ST-GCN, merged over its config by `_base_.merge(_base_.pop('ctrgcn'))`."""

ctrgcn = dict(model=dict(backbone=dict(type='CTRGCN', dropout=0.0)))
