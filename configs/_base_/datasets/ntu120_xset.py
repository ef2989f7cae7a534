"""NTU RGB+D 120, cross-setup: even setups train."""

_base_ = './ntu120_xsub.py'
dataset = dict(split='xset')
