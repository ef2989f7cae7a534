"""As translated.py, for SLiM: 64 frames."""

_base_ = './translated.py'
translated = dict(dataset=dict(pipeline=dict(resample=dict(num_frames=64))))
