"""Parts of a tiny contrastive model, a batch for it, and its losses."""

import torch

from skeattn.models import AimCLR, CrosSCLR, HiCLR, SkeleMixCLR
from skeattn.models.queue import queues_of

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


def flush(model):
    for queue in queues_of(model):
        queue.flush()


NORMAL_VIEWS = dict(query=NORMAL, key=dict(like='query'))
MIX = dict(source='query', mix=dict(type='SkeleMix', parts=(2, 3), units=(1, 2), on='stream'))


def build(cls, views, stream='joint', **changes):
    torch.manual_seed(0)
    preprocessor = dict(type='SkeletonPreprocessor', layout='ntu25', stream=stream, views=views)
    return cls(**{**PARTS, 'data_preprocessor': preprocessor, **changes})


def aimclr(**changes):
    return build(AimCLR, dict(NORMAL_VIEWS, extreme=dict(like='query')), **changes)


def hiclr(mask=None, **changes):
    stronger = dict(like='query', mask=mask) if mask else dict(like='query')
    return build(HiCLR, dict(NORMAL_VIEWS, strong=dict(like='query'), stronger=stronger), **changes)


def skelemixclr(mixes=('mix',), **changes):
    return build(SkeleMixCLR, dict(NORMAL_VIEWS, **dict.fromkeys(mixes, MIX)), **changes)


def crossclr(streams=('joint', 'motion', 'bone'), **changes):
    return build(CrosSCLR, NORMAL_VIEWS, list(streams), **changes)


METHODS = [aimclr, hiclr, skelemixclr, crossclr]
