"""The schedule of SkeleMixCLR's release, whose learning rate is lowered when the training is over."""

_base_ = './sgd_300e.py'
param_scheduler = dict(milestones=[300])
