"""MAMP's fine-tuning on 1 % of the labels."""

_base_ = './finetune_mamp.py'
labels = 0.01
