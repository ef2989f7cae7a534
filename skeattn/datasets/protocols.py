"""Which clips train and which test: functions of a packed set's sample table.

A protocol is data in the manifest, ``{'field': column, 'train': values}``: a clip trains where the column holds one of
the values and tests elsewhere. With ``'test': values`` it tests only there, and other clips are on neither side; named
lists of clips are such a protocol over a column of the set's own (1 trains, 0 tests, -1 neither).
"""

from typing import Any

import numpy as np

from skeattn.datasets.packed import PackedSet
from skeattn.errors import ConfigError, DataError

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

PROTOCOLS: dict[str, dict[str, dict[str, Any]]] = {
    'ntu60': {
        'xsub': {'field': 'subject', 'train': NTU60_XSUB_SUBJECTS},
        'xview': {'field': 'camera', 'train': NTU_XVIEW_CAMERAS},
    },
    'ntu120': {
        'xsub': {'field': 'subject', 'train': NTU120_XSUB_SUBJECTS},
        'xset': {'field': 'setup', 'train': NTU120_XSET_SETUPS},
        # What the release of SkeAttnCLR calls the second protocol of NTU-120: cameras, not setups.
        'camera': {'field': 'camera', 'train': NTU_XVIEW_CAMERAS},
    },
    'nwucla': {'xview': {'field': 'camera', 'train': (1, 2)}},
    'utdmhad': {'xsub': {'field': 'subject', 'train': (1, 3, 5, 7)}},
    'pkummd1': _LISTED,
    'pkummd2': _LISTED,
}


def split(packed: PackedSet, protocol: str) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the training and of the test clips, each ascending.

    Raises:
        ConfigError: the set has no protocol of that name.
        DataError: the protocol leaves one side without clips.
    """
    protocols = packed.manifest['protocols']
    if protocol not in protocols:
        raise ConfigError(f'protocol={protocol!r} is not one of {packed.path}: {", ".join(protocols)}')
    rule = protocols[protocol]
    column = packed.table[rule['field']]
    trains = np.isin(column, rule['train'])
    tests = np.isin(column, rule['test']) if 'test' in rule else ~trains
    train, test = np.flatnonzero(trains), np.flatnonzero(tests)
    for side, chosen in (('training', train), ('test', test)):
        if not len(chosen):
            raise DataError(f'{packed.path}: protocol {protocol!r} (by {rule["field"]}) leaves no {side} clips')
    return train, test


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
