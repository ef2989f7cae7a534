"""Fine-tuning on 1 % of the labels."""

_base_ = './finetune.py'
labels = 0.01
