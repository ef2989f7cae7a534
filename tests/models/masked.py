"""A tiny MAMP, alone and as a config over the toy set."""

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config

from skeattn.models import MAMP
from tests.engine.toy import toy_config

ENCODER = dict(type='SkeletonTransformer', out_channels=16, depth=2, num_heads=2, ratio=2.0, dropout=0.0,
               norm_input=False, position='learnt', num_frames=16)  # fmt: skip
VIEWS = dict(query=dict(rotation=dict(type='RandomRotation'), noise=dict(type='TokenNoise', patch=4)))

LINES = f"""
model = dict(
    _delete_=True,
    type='MAMP',
    backbone={ENCODER},
    decoder=dict(depth=1, num_heads=2),
    data_preprocessor=dict(type='SkeletonPreprocessor', views={VIEWS}),
)
"""
HOOKS = {'latent': dict(queue=None)}


def mamp(seed: int = 0, layout: str | list[str] = 'ntu25', **changes: Any) -> MAMP:
    torch.manual_seed(seed)
    backbone = dict(ENCODER, layout=layout, **changes.pop('backbone', {}))
    preprocessor = dict(type='SkeletonPreprocessor', layout=layout, views=VIEWS)
    return MAMP(**dict(backbone=backbone, decoder=dict(depth=1, num_heads=2), data_preprocessor=preprocessor) | changes)


def masked_config(folder: Path, target: str = 'motion', **options: Any) -> Config:
    """The toy config of MAMP, with the hooks that its target needs."""
    hooks = HOOKS.get(target, dict(queue=None, momentum=None))
    removed = {f'default_hooks__{name}': hook for name, hook in hooks.items()}
    return toy_config(folder, model='stgcn', lines=LINES, model__target=target, **{**removed, **options})


def layouts_config(folder: Path, layouts: list[str], data: Path, **options: Any) -> Config:
    """The same for several layouts: that of ``data``, and that of the set ``other`` beside it."""
    sets = [str(data), str(data.with_name('other'))]
    return masked_config(folder, data=data, layout=layouts, dataset__data=sets, **options)
