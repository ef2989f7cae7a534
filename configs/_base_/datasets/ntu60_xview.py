"""NTU RGB+D, cross-view: cameras 2 and 3 train."""

_base_ = './ntu60_xsub.py'
dataset = dict(split='xview')
