"""ST-GCN with projector, queue and the two normal views: what SkeletonCLR and SkeAttnCLR share here."""

model = dict(
    data_preprocessor=dict(
        type='SkeletonPreprocessor',
        views=dict(
            query=dict(crop=dict(type='Crop', ratio=6), shear=dict(type='Shear', amplitude=0.5)),
            key=dict(like='query'),
        ),
    ),
    backbone=dict(type='STGCN', base_channels=64, out_channels=256, graph='agcn', dropout=0.5),
    projector=dict(type='MLP', hidden_channels=256, out_channels=128, norm_cfg=dict(type='BN1d')),
    queue=dict(size=32768),
    loss=dict(type='InfoNCE', temperature=0.2),
    persons='all',
    key_init='copy',
    init_cfg=[
        dict(type='Normal', layer=['Conv1d', 'Conv2d', 'Linear'], std=0.02),
        dict(type='Normal', layer=['BatchNorm1d', 'BatchNorm2d'], mean=1, std=0.02),
    ],
)
