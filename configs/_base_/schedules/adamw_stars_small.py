"""STARS on sets of a thousand clips: small batches."""

_base_ = './adamw_stars.py'
batch_size = 32
optim_wrapper = dict(type='AutocastOptimWrapper')
train_cfg = dict(max_epochs=20)
