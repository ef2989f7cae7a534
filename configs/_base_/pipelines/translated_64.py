"""As translated.py, for SLiM: 64 frames, without those in which nobody is present."""

_base_ = './translated.py'
translated = dict(
    dataset=dict(
        pipeline=dict(trim=dict(type='TrimEmpty', where='all', before='centre'), resample=dict(num_frames=64))
    ),
)
