"""Replaces the released preprocessing: global motion, heading and the distance between persons are kept.

Empty ends are cut, short gaps bridged; then the whole scene is moved and turned, so that person 0, where first
seen, has its hip in the origin, its spine along y and its shoulders along x. Frames and persons are those of the set.

mmengine refuses two bases that set `dataset`, so these settings are in a variable. A config lists this base after a
data set, or after any config, and merges them by `_base_.merge(_base_.pop('clean'))`. Two-dimensional skeletons also
need `dataset=dict(pipeline=dict(align=None))`.
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
