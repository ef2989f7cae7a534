"""Parts of a tiny contrastive model, a batch for it, and its losses."""

import torch

NORMAL = dict(crop=dict(type='Crop'), shear=dict(type='Shear'))
VIEWS = dict(query=NORMAL, key=dict(like='query'), mix=dict(source='query', mix=dict(type='SkeleMix', units=(1, 2))))
PARTS = dict(
    backbone=dict(type='STGCN', layout='ntu25', base_channels=4, out_channels=16, dropout=0.0),
    projector=dict(type='MLP', hidden_channels=16, out_channels=8, norm_cfg=dict(type='BN1d')),
    queue=dict(size=32),
    loss=dict(type='InfoNCE', temperature=0.2),
    data_preprocessor=dict(type='SkeletonPreprocessor', layout='ntu25', views=VIEWS),
)


def batch(n=6):
    return dict(inputs=torch.randn(n, 3, 16, 25, 2), labels=torch.arange(n))


def losses(model, data, iteration=0):
    model.data_preprocessor.begin_iteration(0, iteration)
    return model(**model.data_preprocessor(data, training=True), mode='loss')
