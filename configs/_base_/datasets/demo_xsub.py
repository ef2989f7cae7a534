"""The embedded set, cross-subject, preprocessed as NTU; 32 frames to save time, other sets have 64."""

_base_ = './ntu60_xsub.py'
num_classes = 17
dataset = dict(data='data/demo', pipeline=dict(resample=dict(num_frames=32)))
