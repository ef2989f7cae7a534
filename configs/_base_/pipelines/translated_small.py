"""As translated.py, for the small sets of either layout: 32 frames, the hip of the first frame in the origin.

Frames without anybody, of which NW-UCLA and UTD-MHAD have none, remain, as in docs/results.
"""

_base_ = './translated.py'
translated = dict(dataset=dict(pipeline=dict(trim=None, centre=dict(joint='hip'), resample=dict(num_frames=32))))
