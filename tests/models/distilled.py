"""A tiny SLiM, alone and as a config over the toy set."""

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from skeattn.models import SLiM
from tests.engine.toy import toy_config

ENCODER = dict(type='RotaryTransformer', out_channels=16, depth=2, num_heads=2, ratio=2.0, patch=4, registers=2)
HEAD = dict(type='PrototypeHead', hidden_channels=8, out_channels=6, prototypes=10)
MASK = dict(type='TubeMask', patch=4)
VIEWS = dict(
    person=dict(pick=dict(type='PickPerson'), centre=dict(type='CentreFirst')),
    global1=dict(
        source='person',
        crop=dict(type='CropSample', num_frames=16, min_frames=8),
        rotation=dict(type='RandomRotation'),
        mask=MASK,
    ),
    global2=dict(source='person', like='global1', mask=None),
    long1=dict(
        within='global1',
        crop=dict(type='CropSample', share=(0.3, 0.7), num_frames=8, min_frames=4),
        mask=MASK,
    ),
    short2=dict(
        within='global2',
        crop=dict(type='CropSample', share=(0.2, 0.4), num_frames=4, min_frames=2),
        mask=MASK,
    ),
)

LINES = f"""
model = dict(
    _delete_=True,
    type='SLiM',
    backbone={ENCODER},
    projector={HEAD},
    data_preprocessor=dict(type='SkeletonPreprocessor', views={VIEWS}),
)
"""
HOOKS: dict[str, Any] = {
    'default_hooks__queue': None,
    'default_hooks__temperature': dict(type='TeacherTemperatureHook', rise=1.0),
}


def slim(seed: int = 0, layout: str = 'ntu25', **changes: Any) -> SLiM:
    torch.manual_seed(seed)
    backbone = dict(ENCODER, layout=layout, **changes.pop('backbone', {}))
    preprocessor = dict(type='SkeletonPreprocessor', layout=layout, views=VIEWS)
    return SLiM(**dict(backbone=backbone, projector=HEAD, data_preprocessor=preprocessor) | changes)


def distilled_config(folder: Path, distilled: bool = True, **options: Any) -> Config:
    """The toy config of SLiM, with its hooks."""
    return toy_config(folder, model='stgcn', lines=LINES, **HOOKS, **options)
