"""Operations 1 to 5 of AimCLR's extreme augmentation, HiCLR's normal set; all but the rotation have probability 0.5.

They are in a variable: a config that lists this base puts them into a view by `_base_.pop('extreme')`.
"""

extreme = dict(
    like='query',
    flip=dict(type='SpatialFlip', probability=0.5),
    rotate=dict(type='Rotate', main=30.0, other=1.0),
    noise=dict(type='GaussianNoise', std=0.01, probability=0.5),
    blur=dict(type='GaussianBlur', taps=15, sigma=(0.1, 2.0), probability=0.5),
    axis_mask=dict(type='AxisMask', probability=0.5),
)
