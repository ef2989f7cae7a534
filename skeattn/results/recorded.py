"""The result of one protocol in a record, for tables and pictures."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skeattn.errors import ConfigError, DataError
from skeattn.results.record import ProtocolRecord, read


@dataclass(frozen=True)
class RecordedResult:
    """The result of one protocol on the features of one source.

    Attributes:
        path: the record.
        name: of the method.
        seed: of the training, or of the evaluation if nothing was trained; None if the record has none.
        stream: joint, motion, bone, several of them or an ensemble.
        source: of the features; ``readout``: theirs.
        test_set: (digest of the packed set's manifest, split), equal for the same test clips.
        result: the recorded result.
    """

    path: Path
    name: str
    seed: int | None
    stream: str
    source: str
    readout: str
    test_set: tuple[str, str]
    result: ProtocolRecord

    @property
    def classes(self) -> list[str]:
        """Class names, in the order of the labels."""
        return list(self._part('per_class'))

    @property
    def confusion(self) -> np.ndarray:
        """Counts ``(classes, classes)`` int64, rows true, columns predicted.

        Raises:
            DataError: it is not a square matrix of counts with a row per class.
        """
        rows, classes = self._part('confusion'), len(self.classes)
        square = len(rows) == classes and all(len(row) == classes for row in rows)
        if not square or any(count < 0 for row in rows for count in row):
            raise DataError(
                f'{self.path}: confusion is not a matrix of counts for the {classes} classes of per_class; '
                f'write the record again with skeattn test'
            )
        return np.array(rows, dtype=np.int64)

    @property
    def curves(self) -> dict[str, list[float]]:
        """Name -> one value per epoch."""
        return dict(self._part('curves'))

    def _part(self, key: str) -> Any:
        if not getattr(self.result, key):
            raise DataError(
                f'{self.path}: the record has no {key} of this protocol ({self.source} features); '
                f'choose a protocol that classifies'
            )
        return getattr(self.result, key)


def read_result(path: str | os.PathLike[str], protocol: str = 'linear', source: str | None = None) -> RecordedResult:
    """The result of a protocol from a record of skeattn test or skeattn ensemble.

    Args:
        path: the JSON record.
        protocol: its name in the record.
        source: of the features; by default the only one with such a result.

    Raises:
        RecordError: the record is not readable.
        DataError: it has no such result.
        ConfigError: several sources have one and ``source`` is None.
    """
    record = read(path)
    results = {name: part.protocols for name, part in record.sources.items()}
    sources = [name for name in results if protocol in results[name] and source in (None, name)]
    if not sources:
        content = ', '.join(f'{name}: {", ".join(protocols) or "none"}' for name, protocols in results.items())
        raise DataError(
            f'{path}: no result of {protocol!r}{f" on {source} features" if source else ""}; the record holds {content}'
        )
    if len(sources) > 1:
        raise ConfigError(f'{path}: {protocol} evaluated {", ".join(sources)} features; choose one with --source')
    trained = record.training.seed if record.training else None
    return RecordedResult(
        path=Path(path),
        name=record.name,
        seed=record.seed if trained is None else trained,
        stream=record.streams,
        source=sources[0],
        readout=record.sources[sources[0]].readout,
        test_set=(str(record.manifest_sha256), record.split),
        result=results[sources[0]][protocol],
    )


def check_comparable(results: Sequence[RecordedResult], keys: Sequence[str] = ()) -> None:
    """Refuse results that must not be combined.

    Args:
        results: at least one.
        keys: attributes that must be equal besides classes, test clips and readout, such as ``name``.

    Raises:
        DataError: a record is listed twice, or two records differ; names both.
    """
    first, seen = results[0], set[Path]()
    for one in results:
        if one.path.resolve() in seen:
            raise DataError(f'{one.path} is listed twice, its clips would count twice; list it once')
        seen.add(one.path.resolve())
        for key in ('classes', 'test_set', 'readout', *keys):
            if getattr(one, key) != getattr(first, key):
                raise DataError(
                    f'{one.path} and {first.path} differ in {_NAMES.get(key, key)}: {_short(getattr(one, key))} and '
                    f'{_short(getattr(first, key))}; give records that agree in it'
                )


_NAMES = {
    'test_set': 'their test clips (packed set, split)',
    'classes': 'their classes',
    'name': 'their method',
    'readout': 'the readout of their features',
}


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f'{len(value)} ({", ".join(value[:3])} …)'
    return ' '.join(part[:12] for part in value) if isinstance(value, tuple) else str(value)
