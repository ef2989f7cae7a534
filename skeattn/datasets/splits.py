"""Which clips train and which test: functions of a packed set's sample table.

A split is data in the manifest, ``{'field': column, 'train': values}``: a clip trains where the column holds one of
the values and tests elsewhere. With ``'test': values`` it tests only there, and other clips are on neither side; named
lists of clips are such a split over a column of the set's own (1 trains, 0 tests, -1 neither).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from skeattn.datasets.packed import PackedSet
from skeattn.datasets.union import joined, sets_with_split
from skeattn.errors import ConfigError, DataError
from skeattn.renaming import note_renamed, renamed_arguments
from skeattn.signatures import arguments_of

PARTS = ('train', 'test')
ALL = 'all'

# Training subjects of NTU RGB+D (Shahroudy et al. 2016) and what NTU RGB+D 120 (Liu et al. 2019) adds to them.
NTU60_XSUB_SUBJECTS = (1, 2, 4, 5, 8, 9, 13, 14, 15, 16, 17, 18, 19, 25, 27, 28, 31, 34, 35, 38)
NTU120_XSUB_SUBJECTS = (
    *NTU60_XSUB_SUBJECTS,
    *(45, 46, 47, 49, 50, 52, 53, 54, 55, 56, 57, 58, 59, 70, 74, 78, 80, 81, 82, 83, 84, 85, 86, 89),
    *(91, 92, 93, 94, 95, 97, 98, 100, 103),
)
NTU_XVIEW_CAMERAS = (2, 3)
NTU120_XSET_SETUPS = tuple(range(2, 33, 2))

# Of PKU-MMD the data set's own files name the videos of each side; a column says which.
_LISTED = {name: {'field': name, 'train': (1,), 'test': (0,)} for name in ('xsub', 'xview')}

# Half of the subjects of the small Kinect sets, as first used for MSR Action3D; their numbers start at 1.
ODD_SUBJECTS = tuple(range(1, 31, 2))
_ODD = {'field': 'subject', 'train': ODD_SUBJECTS}

# The subsets of MSR Action3D (Li et al. 2010), actions by number.
MSRACTION3D_SUBSETS = {
    'as1': (2, 3, 5, 6, 10, 13, 18, 20),
    'as2': (1, 4, 7, 8, 9, 11, 12, 14),
    'as3': (6, 14, 15, 16, 17, 18, 19, 20),
}
# The pairs of actors of SBU Kinect Interaction in the order of its set numbers, and the sets of its five folds.
SBU_SETS = (
    's01s02', 's01s03', 's01s07', 's02s01', 's02s03', 's02s06', 's02s07', 's03s02', 's03s04', 's03s05', 's03s06',
    's04s02', 's04s03', 's04s06', 's05s02', 's05s03', 's06s02', 's06s03', 's06s04', 's07s01', 's07s03',
)  # fmt: skip
_SBU_FOLDS = ((1, 9, 15, 19), (5, 7, 10, 16), (2, 3, 20, 21), (4, 6, 8, 11), (12, 13, 14, 17, 18))


def _each_left_out(prefix: str, field: str, groups: Sequence[tuple[int, ...]]) -> dict[str, dict[str, Any]]:
    """A split for each group of values, which test while all others train."""
    everything = tuple(sorted(value for group in groups for value in group))
    width = len(str(len(groups)))
    return {
        f'{prefix}{number:0{width}d}': {
            'field': field,
            'train': tuple(value for value in everything if value not in group),
            'test': group,
        }
        for number, group in enumerate(groups, 1)
    }


_EACH_OF_TEN = _each_left_out('loso', 'subject', [(subject,) for subject in range(1, 11)])

SPLITS: dict[str, dict[str, dict[str, Any]]] = {
    'ntu60': {
        'xsub': {'field': 'subject', 'train': NTU60_XSUB_SUBJECTS},
        'xview': {'field': 'camera', 'train': NTU_XVIEW_CAMERAS},
    },
    'ntu120': {
        'xsub': {'field': 'subject', 'train': NTU120_XSUB_SUBJECTS},
        'xset': {'field': 'setup', 'train': NTU120_XSET_SETUPS},
        # What the release of SkeAttnCLR calls the second split of NTU-120: cameras, not setups.
        'camera': {'field': 'camera', 'train': NTU_XVIEW_CAMERAS},
    },
    'nwucla': {'xview': {'field': 'camera', 'train': (1, 2)}},
    'utdmhad': {'xsub': {'field': 'subject', 'train': (1, 3, 5, 7)}},
    'msraction3d': {
        'xsub': _ODD,
        **{name: {'field': name, 'train': (1,), 'test': (0,)} for name in MSRACTION3D_SUBSETS},
    },
    'utkinect': {'xsub': _ODD, **_EACH_OF_TEN},
    'florence3d': {'xsub': _ODD, **_EACH_OF_TEN},
    'sbu': _each_left_out('fold', 'setup', _SBU_FOLDS),
    'kard': {'xsub': _ODD, **_EACH_OF_TEN},
    'msrc12': {'xsub': _ODD},
    'pkummd1': _LISTED,
    'pkummd2': _LISTED,
}


@renamed_arguments(protocol='name')
def split(packed: PackedSet, name: str | Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the training and of the test clips of the split of that name, each ascending.

    Every set has the split :data:`ALL`, in which each clip trains and none tests. A split can lack test clips, which is
    enough for pre-training. A union of sets takes one name for all of them, or one per set.

    Raises:
        ConfigError: the set has no split of that name.
        DataError: the split leaves no training clips.
    """
    sets = sets_with_split(packed, name)
    cure = '; with several sets give a list, one split per set' if isinstance(name, str) and len(sets) > 1 else ''
    sides = [_split(one, of_one, cure) for one, of_one in sets]
    train, test = (joined(packed, side) for side in zip(*sides, strict=True))
    return train, test


def _split(packed: PackedSet, name: str, cure: str) -> tuple[np.ndarray, np.ndarray]:
    if name == ALL and name not in packed.splits:
        return np.arange(len(packed)), np.arange(0)
    if name not in packed.splits:
        hint = f'; the training or test clips of one are its part={name!r}' if name in PARTS else cure
        raise ConfigError(f'split={name!r} is not one of {packed.path}: {", ".join((*packed.splits, ALL))}{hint}')
    rule = packed.splits[name]
    column = packed.table[rule['field']]
    trains = np.isin(column, rule['train'])
    tests = np.isin(column, rule['test']) if 'test' in rule else ~trains
    train, test = np.flatnonzero(trains), np.flatnonzero(tests)
    if not len(train):
        raise DataError(f'{packed.path}: split {name!r} (by {rule["field"]}) leaves no training clips')
    return train, test


def of_part(dataset: Mapping[str, Any], part: str) -> dict[str, Any]:
    """The config of the training or the test clips of a data set.

    Args:
        dataset: its config, as at the top of a config.
        part: ``'train'`` or ``'test'``.
    """
    from skeattn.registry import DATASETS  # mmengine, which reading a packed set does not need

    kind = dataset.get('type', 'SkeletonDataset')
    component = DATASETS.get(kind) if isinstance(kind, str) else kind
    takes, any_other = arguments_of(component) if component is not None else (set(), True)
    if 'part' in takes or any_other or 'split' not in takes:
        return {**dataset, 'part': part}
    # A custom data set that was written when the part was called split, and the split protocol.
    note_renamed(f"{kind}: the argument 'split' that receives 'train' or 'test'", "'part'")
    named = {'protocol': dataset['split']} if 'split' in dataset else {}
    return {**dataset, **named, 'split': part}


def held_out_subjects(subjects: np.ndarray, fraction: float = 0.2) -> np.ndarray:
    """Marks the clips of some whole subjects, to choose a model on training clips alone, without test labels.

    The choice depends on the set of subjects only: about ``fraction`` of them, at least one and never all, evenly
    spread over their numbers.

    Args:
        subjects: (N,) subject of each training clip.
        fraction: share of the subjects.

    Returns:
        (N,) bool, True where held out.

    Raises:
        DataError: fewer than two subjects.
    """
    known = np.unique(subjects)
    if len(known) < 2:
        raise DataError(f'holding out whole subjects needs at least two, the training clips have {len(known)}')
    count = int(np.clip(round(fraction * len(known)), 1, len(known) - 1))
    chosen = known[((np.arange(count) + 0.5) * len(known) / count).astype(int)]
    return np.isin(subjects, chosen)
