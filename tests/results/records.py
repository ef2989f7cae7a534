"""Small records as tools/test.py writes them."""

import json
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = ['drink', 'wave', 'throw']
BASE = [[8, 2, 0], [1, 4, 0], [5, 0, 5]]
OURS = [[8, 2, 0], [2, 3, 0], [1, 0, 9]]


def result(confusion: list[list[int]], classes: list[str]) -> dict[str, Any]:
    """A protocol's result with that confusion."""
    counts = np.array(confusion)
    share = 100 * np.diag(counts) / counts.sum(axis=1)
    curves = {'loss': [2.0, 1.0, 0.5], 'top1': [30.0, 50.0, 60.0]}
    return {
        'per_class': dict(zip(classes, share.tolist(), strict=True)),
        'confusion': confusion,
        'curves': curves,
        'selection': {'top1': 'last epoch'},
    }


def write_record(
    path: Path,
    confusion: list[list[int]] = BASE,
    name: str = 'SkeletonCLR',
    seed: int = 0,
    classes: list[str] = CLASSES,
    sources: tuple[str, ...] = ('backbone',),
    **facts: Any,
) -> Path:
    """A record whose sources were evaluated by the linear protocol."""
    parts = {source: {'metrics': {}, 'protocols': {'linear': result(confusion, classes)}} for source in sources}
    record = {'version': 1, 'name': name, 'stream': 'joint', 'split': 'xsub', 'manifest_sha256': 'a' * 64, 'seed': 0}
    path.write_text(json.dumps({**record, 'data': 'set', 'training': {'seed': seed}, 'sources': parts, **facts}))
    return path
