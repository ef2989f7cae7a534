"""Transformer in place of a method's ST-GCN; merged over its config by `_base_.merge(_base_.pop('transformer'))`."""

transformer = dict(model=dict(backbone=dict(_delete_=True, type='SkeletonTransformer')))
