"""Fine-tuning on 1 % of the labels as released for NTU-60, joint stream, cross-subject."""

_base_ = './finetune_released.py'
labels = 0.01
optim_wrapper = dict(optimizer=dict(lr=0.005))
param_scheduler = dict(milestones=[50, 100])
