"""One stream of 2s-AGCN in place of a method's ST-GCN; merged over its config by `_base_.merge(_base_.pop('agcn'))`."""

agcn = dict(model=dict(backbone=dict(type='AGCN')))
