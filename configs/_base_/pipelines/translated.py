"""MAMP's and CTR-GCN's clips: each is moved once, so that motion and heading remain; 120 frames, none cut off.

Merged over a data set by `_base_.merge(_base_.pop('translated'))`, as clean.py.
"""

translated = dict(
    dataset=dict(
        pipeline=dict(
            centre=dict(joint='spine_mid', reference='first'),
            resample=dict(num_frames=120, length='all'),
            align=None,
        ),
    ),
)
