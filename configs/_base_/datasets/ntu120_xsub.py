"""NTU RGB+D 120, cross-subject."""

_base_ = './ntu60_xsub.py'
num_classes = 120
dataset = dict(data='data/ntu120')
