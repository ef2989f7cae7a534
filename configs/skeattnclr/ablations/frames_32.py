"""Clips of half as many frames, of which the same share is pasted."""

_base_ = '../stgcn_ntu60_xsub.py'
dataset = dict(pipeline=dict(resample=dict(num_frames=32)))
model = dict(data_preprocessor=dict(views=dict(mix=dict(skelemix=dict(units=(2, 4))))))
