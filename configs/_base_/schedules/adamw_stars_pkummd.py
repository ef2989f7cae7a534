"""The rates of STARS on PKU-MMD."""

_base_ = './adamw_stars.py'
optim_wrapper = dict(optimizer=dict(lr=0.0001), paramwise_cfg=dict(layer_decay=0.35))
