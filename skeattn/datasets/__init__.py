"""From raw files to batches: the packed format, its splits, the pipeline and the dataset.

Reading and writing packed sets needs numpy alone: what needs torch or mmengine is imported at its first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from skeattn.datasets.packed import PackedSet
from skeattn.datasets.splits import held_out_subjects, split
from skeattn.datasets.union import UnionSet, open_sets
from skeattn.datasets.writer import PackedWriter

if TYPE_CHECKING:
    from skeattn.datasets.multi_layout import MultiLayoutDataset
    from skeattn.datasets.sampler import GlobalBatchSampler
    from skeattn.datasets.skeleton_dataset import SkeletonDataset, take_whole_batch
    from skeattn.datasets.transforms import (
        AlignView,
        Centre,
        FillGaps,
        LoseJoints,
        PackClip,
        PadFrames,
        Pipeline,
        Resample,
        ScaleBody,
        TrimEmpty,
        Window,
    )

__all__ = [
    'AlignView',
    'Centre',
    'FillGaps',
    'GlobalBatchSampler',
    'LoseJoints',
    'MultiLayoutDataset',
    'PackClip',
    'PackedSet',
    'PackedWriter',
    'PadFrames',
    'Pipeline',
    'Resample',
    'ScaleBody',
    'SkeletonDataset',
    'TrimEmpty',
    'UnionSet',
    'Window',
    'held_out_subjects',
    'open_sets',
    'split',
    'take_whole_batch',
]

_HEAVY = ('transforms', 'sampler', 'skeleton_dataset', 'multi_layout')


def __getattr__(name: str) -> Any:
    if name in _HEAVY:
        return import_module(f'{__name__}.{name}')
    if name in __all__:
        for module in map(import_module, [f'{__name__}.{heavy}' for heavy in _HEAVY]):
            if hasattr(module, name):
                return getattr(module, name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
