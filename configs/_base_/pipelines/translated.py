"""MAMP's and CTR-GCN's clips: each is moved once, so that motion and heading remain; 120 frames, none cut off.

Frames in which nobody is present are left out.

Merged over a data set by `_base_.merge(_base_.pop('translated'))`, as clean.py.
"""

translated = dict(
    dataset=dict(
        pipeline=dict(
            trim=dict(type='TrimEmpty', where='all', before='centre'),
            centre=dict(joint='spine_mid', reference='first'),
            resample=dict(num_frames=120, length='all'),
            align=None,
        ),
    ),
)
