"""SLiM on sets of a thousand clips: small batches, a higher rate, decay to zero."""

_base_ = './adamw_slim.py'
optim_wrapper = dict(type='AutocastOptimWrapper', optimizer=dict(lr=0.0006))
_base_.param_scheduler[0].update(warmup=2, eta_min=0.0)
_base_.merge(dict(batch_size=32, train_cfg=dict(max_epochs=60)))
