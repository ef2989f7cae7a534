"""MAMP on sets of a thousand clips: small batches, decay to zero."""

_base_ = './adamw_mamp.py'
batch_size = 32
param_scheduler = dict(warmup=5, eta_min=0.0)
train_cfg = dict(max_epochs=60)
