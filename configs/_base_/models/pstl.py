"""PSTL: a clip, a view without its moving frames, and one without some central joints, compared by Barlow Twins.

The projector takes more time and memory than the encoder. A narrower one needs a larger redundancy_weight: the number
of redundancy terms per feature falls with the width.
"""

_base_ = './stgcn.py'
model = dict(
    type='PSTL',
    data_preprocessor=dict(
        views=dict(
            query=dict(
                shear=dict(amplitude=1.0),
                rotate=dict(type='Rotate', main=30.0, other=1.0),
                flip=dict(type='SpatialFlip', probability=0.5),
            ),
            temporal=dict(like='query', frames=dict(type='MotionAttentionTemporalMasking', ratio=0.2, on='stream')),
            spatial=dict(like='query', joints=dict(type='CentralSpatialMasking', ratio=8 / 25)),
        ),
    ),
    projector=dict(
        type='MLP',
        hidden_channels=6144,
        out_channels=6144,
        num_layers=3,
        norm_cfg=dict(type='BN1d'),
        out_norm_cfg=dict(type='BN1d', affine=False),
    ),
    redundancy_weight=2e-4,
)
