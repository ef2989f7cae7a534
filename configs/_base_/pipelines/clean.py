"""Clips in place of the released preprocessing: global motion, heading and the distance between persons are kept.

Empty ends are cut, short gaps bridged; then the whole scene is moved and turned as one, so that person 0, where first
seen, has its hip in the origin, its spine along y and its shoulders along x. Frames and persons stay those of the set.

Several bases say `dataset`, so these settings stand under a name of their own. A config lists this base after a data
set, or after any config, and lays them over it by `_base_.merge(_base_.pop('clean'))`. Two-dimensional skeletons need
`dataset=dict(pipeline=dict(align=None))` as well.
"""

clean = dict(
    dataset=dict(
        pipeline=dict(
            trim=dict(type='TrimEmpty', where='ends', before='centre'),
            fill=dict(type='FillGaps', longest=10, before='centre'),
            centre=dict(joint='hip', reference='first'),
            resample=dict(length='all', blend_absent=False),
            align=dict(mode='body_first'),
        ),
    ),
)
