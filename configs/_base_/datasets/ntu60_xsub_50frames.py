"""NTU RGB+D, cross-subject, at the 50 frames of the CrosSCLR, AimCLR and HiCLR releases."""

_base_ = './ntu60_xsub.py'
dataset = dict(pipeline=dict(resample=dict(num_frames=50)))
