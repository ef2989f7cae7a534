"""Steps for 2-D sets of a pose estimator, with or without scores: a config names data, split, layout and channels.

Missing joints are filled before anything reads the body; every body is one trunk tall and centred on its hip.
"""

dataset = dict(
    pipeline=dict(
        trim=dict(type='TrimEmpty'),  # frames before anybody comes and after everybody has gone
        fill=dict(type='FillGaps', longest=10),  # joints that were not detected, persons who blink
        scale=dict(type='ScaleBody'),  # pixels to lengths of the trunk
        centre=dict(type='Centre', joint='hip'),
        resample=dict(type='Resample', num_frames=64, length='all', blend_absent=False),
        pack=dict(type='PackClip', num_persons=1),
    ),
)
