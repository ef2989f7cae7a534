"""What a record says of one protocol, read back for tables and pictures."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skeattn.errors import ConfigError, DataError


@dataclass(frozen=True)
class Recorded:
    """One protocol's outcome on the features of one source.

    Attributes:
        path: the record.
        name: of the method.
        seed: of the training, or of the evaluation where nothing was trained; None where the record does not say.
        stream: joint, motion, bone, several of them or a fusion.
        source: of the features.
        test_set: (digest of the packed set's manifest, split): equal for the same test clips.
        outcome: ``per_class``, ``confusion``, ``curves`` …, as written.
    """

    path: Path
    name: str
    seed: int | None
    stream: str
    source: str
    test_set: tuple[str, str]
    outcome: dict[str, Any]

    @property
    def classes(self) -> list[str]:
        """Class names, in the order of the labels."""
        return list(self._part('per_class'))

    @property
    def confusion(self) -> np.ndarray:
        """Counts ``(classes, classes)`` int64, rows true, columns predicted.

        Raises:
            DataError: it is no square of counts with a row per class.
        """
        try:
            counts = np.array(self._part('confusion'), dtype=np.int64)
        except (TypeError, ValueError):
            counts = np.zeros(0, np.int64)
        classes = len(self.classes)
        if counts.shape != (classes, classes) or (counts < 0).any():
            raise DataError(
                f'{self.path}: its confusion is no table of counts for the {classes} classes of per_class; '
                f'make the record again with tools/test.py'
            )
        return counts

    @property
    def scores_of(self) -> str | None:
        """The epoch or the K that ``per_class`` and ``confusion`` belong to; None where the record does not say."""
        return self.outcome.get('scores_of')

    @property
    def curves(self) -> dict[str, list[float]]:
        """Name -> one value per epoch."""
        return dict(self._part('curves'))

    def _part(self, key: str) -> Any:
        if not self.outcome.get(key):
            raise DataError(
                f'{self.path}: the record has no {key} of this protocol ({self.source} features); '
                f'protocols that classify record one'
            )
        return self.outcome[key]


def read_recorded(path: str | os.PathLike[str], protocol: str = 'linear', source: str | None = None) -> Recorded:
    """A protocol's outcome from a record that tools/test.py or tools/ensemble.py wrote.

    Args:
        path: the JSON record.
        protocol: its name there.
        source: of the features; by default the only one that has such an outcome.

    Raises:
        DataError: no readable record, or no such outcome in it.
        ConfigError: several sources have one and none is named.
    """
    record = _read(Path(path))
    outcomes = {name: part.get('outcomes') or {} for name, part in record['sources'].items()}
    fitting = [name for name in outcomes if protocol in outcomes[name] and source in (None, name)]
    if not fitting:
        there = ', '.join(f'{name}: {", ".join(found) or "none"}' for name, found in outcomes.items())
        raise DataError(
            f'{path}: no outcome of {protocol!r}{f" on {source} features" if source else ""}; the record holds {there}'
        )
    if len(fitting) > 1:
        raise ConfigError(f'{path}: {", ".join(fitting)} features were judged by {protocol}; name one with --source')
    training = record.get('training') or {}
    stream = record.get('stream', 'joint')
    return Recorded(
        path=Path(path),
        name=str(record.get('name') or record.get('model')),
        seed=training.get('seed', record.get('seed')),
        stream=stream if isinstance(stream, str) else '+'.join(stream),
        source=fitting[0],
        test_set=(str(record.get('manifest_sha256')), str(record.get('protocol'))),
        outcome=outcomes[fitting[0]][protocol],
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataError(f'{path} is no readable record: {error}') from error
    sources = record.get('sources') if isinstance(record, dict) else None
    if not isinstance(sources, dict) or not all(isinstance(part, dict) for part in sources.values()):
        raise DataError(f'{path} is JSON, but no record of tools/test.py: it has no sources')
    return record


def check_alike(recorded: Sequence[Recorded], what: Sequence[str] = ()) -> None:
    """Refuse outcomes that must not be put together.

    Args:
        recorded: at least one.
        what: attributes that must be equal besides classes and test clips, such as ``name``.

    Raises:
        DataError: a record stands there twice, or two differ; names both.
    """
    first, seen = recorded[0], set[Path]()
    for one in recorded:
        if one.path.resolve() in seen:
            raise DataError(f'{one.path} is named twice; its clips would count twice')
        seen.add(one.path.resolve())
        for key in ('classes', 'test_set', *what):
            if getattr(one, key) != getattr(first, key):
                raise DataError(
                    f'{one.path} and {first.path} differ in {_NAMES.get(key, key)}: '
                    f'{_short(getattr(one, key))} and {_short(getattr(first, key))}'
                )


_NAMES = {'test_set': 'their test clips (packed set, split)', 'classes': 'their classes', 'name': 'their method'}


def _short(value: Any) -> str:
    if isinstance(value, list):
        return f'{len(value)} ({", ".join(value[:3])} …)'
    return ' '.join(part[:12] for part in value) if isinstance(value, tuple) else str(value)
