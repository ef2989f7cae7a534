"""NTU RGB+D, cross-view, at 50 frames."""

_base_ = './ntu60_xsub_50frames.py'
dataset = dict(split='xview')
