"""NTU RGB+D, cross-subject, as the supervised ST-GCN reads it: 300 frames in camera coordinates, short clips padded."""

_base_ = './ntu60_xsub.py'
dataset = dict(
    pipeline=dict(centre=None, align=None, resample=dict(_delete_=True, type='PadFrames', num_frames=300)),
)
