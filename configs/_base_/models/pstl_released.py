"""Draws for the whole batch, joints exchanged but not mirrored, and a projector that embeds the whole view twice."""

_base_ = './pstl.py'
model = dict(
    backbone=dict(graph='spatial'),
    data_preprocessor=dict(
        views=dict(
            query=dict(
                crop=dict(per='batch'),
                shear=dict(per='batch'),
                rotate=dict(per='batch'),
                flip=dict(mirror=False, per='batch'),
            ),
            temporal=dict(frames=dict(absent=True, per='batch')),
        ),
    ),
    project_again=True,
)
