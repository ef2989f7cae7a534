"""As translated.py, for the small sets of either layout: 32 frames, the hip of the first frame in the origin."""

_base_ = './translated.py'
translated = dict(dataset=dict(pipeline=dict(centre=dict(joint='hip'), resample=dict(num_frames=32))))
