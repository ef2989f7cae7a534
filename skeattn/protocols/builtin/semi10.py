"""Fine-tuning on 10 % of the labels."""

_base_ = './finetune.py'
labels = 0.1
