"""The embedded set, cross-subject, preprocessed as NTU; 32 frames to save time."""

_base_ = './ntu60_xsub.py'
dataset = dict(data='data/demo', pipeline=dict(resample=dict(num_frames=32)))
