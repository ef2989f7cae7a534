"""Fine-tuning on 10 % of the labels as released for NTU-60, joint stream, cross-subject."""

_base_ = './finetune_released.py'
labels = 0.1
optim_wrapper = dict(optimizer=dict(lr=0.01))
