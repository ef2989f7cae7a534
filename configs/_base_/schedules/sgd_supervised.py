"""The schedule of the supervised ST-GCN."""

_base_ = './sgd_300e.py'
batch_size = 64
optim_wrapper = dict(optimizer=dict(nesterov=True))
param_scheduler = dict(milestones=[10, 50])
train_cfg = dict(max_epochs=80)
