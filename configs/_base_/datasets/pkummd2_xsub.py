"""PKU-MMD, part II, cross-subject; 41 of the 51 classes occur."""

_base_ = './pkummd1_xsub.py'
dataset = dict(data='data/pkummd2')
