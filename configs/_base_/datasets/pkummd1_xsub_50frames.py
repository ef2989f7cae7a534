"""PKU-MMD, part I, cross-subject, at the 50 frames of the AimCLR release."""

_base_ = './pkummd1_xsub.py'
dataset = dict(pipeline=dict(resample=dict(num_frames=50)))
