"""NTU RGB+D, cross-view, as the supervised ST-GCN reads it."""

_base_ = './ntu60_xsub_raw.py'
dataset = dict(split='xview')
