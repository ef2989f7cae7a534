"""PKU-MMD, part I, cross-subject, at the 50 frames of the AimCLR release."""

_base_ = './ntu60_xsub_50frames.py'
num_classes = 51
dataset = dict(data='data/pkummd1')
