"""ST-GCN on a normally augmented view, common to all methods. Width 16, a quarter of the original's."""

model = dict(
    data_preprocessor=dict(
        type='SkeletonPreprocessor',
        views=dict(query=dict(crop=dict(type='Crop', ratio=6), shear=dict(type='Shear', amplitude=0.5))),
    ),
    backbone=dict(type='STGCN', base_channels=16, out_channels=256, graph='agcn', dropout=0.5),
    persons='all',
    init_cfg=[
        dict(type='Normal', layer=['Conv1d', 'Conv2d', 'Linear'], std=0.02),
        dict(type='Normal', layer=['BatchNorm1d', 'BatchNorm2d'], mean=1, std=0.02),
    ],
)
