"""Fine-tuning as released for NTU-60, joint stream, cross-subject; learning rates differ by set, split and stream."""

_base_ = './finetune.py'
mode = 'eval'
optim_wrapper = dict(optimizer=dict(lr=0.008))
param_scheduler = dict(_delete_=True, type='MultiStepLR', milestones=[60, 100], gamma=0.1)
