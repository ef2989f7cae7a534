"""Class scores on disk, for fusion and further analysis."""

import json
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from skeattn.errors import DataError
from skeattn.evaluation.result import Scores
from skeattn.files import write_atomic
from skeattn.reading import parse_json, read_arrays

PARTS = ('test', 'heldout')
FIELDS = ('scores', 'labels', 'names')


@dataclass
class ScoreFile:
    """The class scores of one protocol on one checkpoint.

    Args:
        test: of the test clips.
        heldout: of held-out training clips, by a classifier trained without them; None without such clips.
        classes: class names in label order.
        facts: their origin as plain values: ``data``, ``manifest_sha256``, ``split``, ``stream``, ``readout``,
            ``checkpoint_sha256``, ``name`` (the method), ``protocol`` with its ``settings``; ``copies``, the names of
            the test clips that equal a training clip, if there are any.

    Raises:
        DataError: shapes do not fit, a label has no score, a score is not finite, or a clip is in it twice.
    """

    test: Scores
    heldout: Scores | None
    classes: list[str]
    facts: dict[str, Any]

    def __post_init__(self) -> None:
        for part in PARTS:
            scores = getattr(self, part)
            if scores is not None:
                _check(scores, len(self.classes), part)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the file, all or nothing; equal scores give equal bytes."""
        arrays = {'classes': np.array(self.classes, np.str_), 'facts': np.array(json.dumps(self.facts))}
        for part in PARTS:
            scores = getattr(self, part)
            if scores is not None:
                values = (scores.scores.cpu().numpy(), scores.labels.cpu().numpy(), np.array(scores.names, np.str_))
                arrays |= {f'{part}_{field}': value for field, value in zip(FIELDS, values, strict=True)}
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> 'ScoreFile':
        """Read a file; nothing in it is executed.

        Raises:
            DataError: the file is missing, damaged or inconsistent; names the file.
        """
        try:
            arrays = read_arrays(path)
            parts = [_part(arrays, part) for part in PARTS if part == 'test' or f'{part}_scores' in arrays]
            classes, facts = arrays['classes'].tolist(), _upgrade(parse_json(str(arrays['facts'])))
            return cls(parts[0], parts[1] if len(parts) > 1 else None, classes, facts)
        except FileNotFoundError as error:
            raise DataError(f'{path}: no such score file; skeattn test writes it beside its record') from error
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f'{path} is not an intact score file: {error}; write it again with skeattn test') from error


def _upgrade(facts: dict[str, Any]) -> dict[str, Any]:
    """Older files called the split ``protocol`` and the protocol ``evaluation``."""
    if 'evaluation' in facts:
        facts['split'], facts['protocol'] = facts.pop('protocol', None), facts.pop('evaluation')
    return facts


def _part(arrays: Any, part: str) -> Scores:
    scores, labels, names = (arrays[f'{part}_{field}'] for field in FIELDS)
    return Scores(torch.from_numpy(scores), torch.from_numpy(labels), names.tolist())


def _check(scores: Scores, classes: int, part: str) -> None:
    N = len(scores.names)
    if scores.scores.ndim != 2 or len(scores.scores) != N or scores.labels.shape != (N,) or not N:
        shapes = f'{tuple(scores.scores.shape)} scores, {tuple(scores.labels.shape)} labels, {N} names'
        raise DataError(f'{part}: {shapes}; give one row of scores and one label for every clip')
    columns = scores.scores.shape[1]
    if columns > classes or scores.labels.min() < 0 or scores.labels.max() >= columns:
        raise DataError(
            f'{part}: {columns} columns of scores and labels {scores.labels.min()} to {scores.labels.max()} '
            f'do not fit {classes} classes'
        )
    if not scores.scores.isfinite().all():
        clip = scores.names[int((~scores.scores.isfinite()).any(dim=1).int().argmax())]
        raise DataError(f'{part}: the scores of {clip} are not finite')
    if len(set(scores.names)) < N:
        repeated = [name for name, count in Counter(scores.names).items() if count > 1]
        raise DataError(f'{part}: {len(repeated)} clips are in it twice, such as {repeated[0]}')
