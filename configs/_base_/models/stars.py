"""STARS: the upper half of MAMP's encoder is tuned by the nearest neighbours of its clips.

The two views of the release are both the clip itself, so one is encoded; `key` would be the second.
"""

_base_ = './mamp.py'
model = dict(
    _delete_=True,
    type='STARS',
    data_preprocessor=dict(type='SkeletonPreprocessor', views=dict(query=dict())),
    backbone=_base_.model.backbone,
    predictor=dict(type='MLP', hidden_channels=4096, norm_cfg=dict(type='BN1d'), last_bias=True),
    queue=dict(size=32768),
    temperature=0.07,
    symmetric=True,
    trained=0.5,
    persons='all',
    init_cfg=[
        dict(type='Normal', layer='Linear', std=0.02),
        dict(type='Normal', layer='BatchNorm1d', mean=1.0, std=0.02),
    ],
)
