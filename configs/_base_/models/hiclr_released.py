"""The release trains with one of the paper's three strong augmentations, the mask, with one draw for the batch."""

_base_ = ['./hiclr.py', './released.py', './extreme_released.py']
_base_.merge(_base_.pop('released'))
model = dict(
    data_preprocessor=dict(
        views=dict(strong=_base_.pop('extreme'), stronger=dict(adain=None, joint_mask=dict(per='batch'))),
    ),
    edges=None,
)
