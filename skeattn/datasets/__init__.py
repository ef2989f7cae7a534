"""From raw files to batches: the packed format, its splits, the pipeline and the dataset."""

from skeattn.datasets.packed import PackedSet
from skeattn.datasets.sampler import GlobalBatchSampler
from skeattn.datasets.skeleton_dataset import SkeletonDataset, take_whole_batch
from skeattn.datasets.splits import held_out_subjects, split
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
from skeattn.datasets.union import UnionSet, open_sets
from skeattn.datasets.writer import PackedWriter

__all__ = [
    'AlignView',
    'Centre',
    'FillGaps',
    'GlobalBatchSampler',
    'LoseJoints',
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
