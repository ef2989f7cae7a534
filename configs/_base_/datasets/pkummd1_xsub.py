"""PKU-MMD, part I, cross-subject, cut into its annotated actions."""

_base_ = './ntu60_xsub.py'
num_classes = 51
dataset = dict(data='data/pkummd1')
