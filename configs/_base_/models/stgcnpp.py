"""ST-GCN++ in place of a method's ST-GCN, merged over its config by `_base_.merge(_base_.pop('stgcnpp'))`."""

stgcnpp = dict(model=dict(backbone=dict(type='STGCNPP', dropout=0.0)))
