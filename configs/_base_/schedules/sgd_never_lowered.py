"""The schedule of SkeleMixCLR's release, whose learning rate would be lowered only after the last epoch."""

_base_ = './sgd_300e.py'
param_scheduler = dict(milestones=[300])
