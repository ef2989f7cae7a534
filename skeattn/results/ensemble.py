"""An ensemble: recorded class scores of several streams, fused, and its record.

The releases add raw classifier outputs, weighted, and choose the weights, where they choose, on the test labels. Here
they are chosen on held-out training clips; the test clips choose only where that is asked for, and the record says so.
"""

import hashlib
import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from skeattn.errors import ConfigError, DataError, shorten
from skeattn.evaluation.fusion import EQUAL, choose_weights, fuse, named_weights
from skeattn.evaluation.knn import KNNEvaluator
from skeattn.evaluation.metrics import accuracy, confusion, per_class
from skeattn.evaluation.result import Scores
from skeattn.files import sha256, write_json
from skeattn.results.provenance import environment
from skeattn.results.score_file import ScoreFile

SELECTIONS = {
    'given': 'weights given beforehand',
    'heldout': 'weights chosen on held-out training clips',
    'test': 'weights chosen ON THE TEST CLIPS, with their labels',
}
FUSED = 'fusion'


@dataclass
class Part:
    """One stream of an ensemble.

    Args:
        path: the score file; ``sha256`` its digest.
        file: what it holds.
        stream: its stream, several joined by ``+``.
        facts: what the record that names the file says of it; empty without one.
        given: what messages call it: the record, or the score file where that was given.
    """

    path: Path
    sha256: str
    file: ScoreFile
    stream: str
    facts: dict[str, Any]
    given: str

    @property
    def settings(self) -> Mapping[str, Any] | None:
        """Of the protocol; None where nothing says them."""
        return self.facts.get('settings') or self.file.facts.get('settings')


@dataclass
class Fusion:
    """Several streams as one classifier: :func:`fuse_files` makes it.

    Args:
        protocol: the evaluation protocol whose scores were added, for example ``'linear'``.
        parts: the streams.
        weights: one for each.
        selection: a key of :data:`SELECTIONS`.
        kind: what was added, ``'logits'`` or ``'softmax'``.
        scores: of the fusion.
    """

    protocol: str
    parts: list[Part]
    weights: list[float]
    selection: str
    kind: str
    scores: ScoreFile

    @property
    def rows(self) -> list[str]:
        """A name for each part: its stream, with the file where two are of one stream."""
        count = Counter(part.stream for part in self.parts)
        return [part.stream if count[part.stream] == 1 else f'{part.stream}, {part.path}' for part in self.parts]

    @property
    def added(self) -> str:
        """What was added, in words: neighbours vote, and their votes are no logits."""
        votes = any((part.settings or {}).get('type') == KNNEvaluator.__name__ for part in self.parts)
        return 'scores' if votes and self.kind == 'logits' else self.kind

    @property
    def scores_of(self) -> dict[str, str]:
        """The epoch or the K that each part's scores are of, as far as its record says."""
        said = [part.facts.get('scores_of') for part in self.parts]
        return {row: text for row, text in zip(self.rows, said, strict=True) if text}

    @property
    def default_path(self) -> Path:
        """The record's place beside the first part; another ensemble has another name."""
        identity = [[part.sha256 for part in self.parts], self.weights, self.selection, self.kind]
        digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8]
        return self.parts[0].path.parent / f'{FUSED}_{self.protocol}_{digest}.json'

    def record(self) -> dict[str, Any]:
        """The fusion in the shape of the records of ``tools/test.py``, its one source ``'fusion'``."""
        facts, fused = self.scores.facts, self.scores
        outcome = {
            'selection': {'top1': f'last epoch, {SELECTIONS[self.selection]}'},
            'per_class': per_class(fused.test, fused.classes),
            'confusion': confusion(fused.test, fused.classes),
        }
        source = {
            'streams': [part.stream for part in self.parts],
            'metrics': metrics(self.protocol, fused.test),
            'outcomes': {self.protocol: outcome},
            **{key: _total(part.facts.get(key) for part in self.parts) for key in ('parameters', 'gmacs')},
        }
        return {
            'name': facts['name'],
            'data': facts['data'],
            'manifest_sha256': facts['manifest_sha256'],
            'protocol': facts['protocol'],
            'stream': facts['stream'],
            'seed': _common([part.facts.get('seed') for part in self.parts]),
            'checkpoint': None,
            'checkpoint_sha256': None,
            'training': None,
            'baselines': {},
            'protocols': {self.protocol: _common([part.facts.get('settings') for part in self.parts])},
            'sources': {FUSED: source},
            'weights': dict(zip(self.rows, self.weights, strict=True)),
            'selection': self.selection,
            'added': self.kind,
            'heldout_top1': _top1(fused.heldout),
            'parts': [self._part(part, weight) for part, weight in zip(self.parts, self.weights, strict=True)],
        }

    def write(self, path: str | os.PathLike[str]) -> dict[str, Any]:
        """Write the record, and the fused scores beside it; returns the record."""
        start, path = time.monotonic(), Path(path)
        beside = path.with_name(f'{path.stem}.{self.protocol}.npz')
        self.scores.write(beside)
        record = self.record()
        record['sources'][FUSED]['outcomes'][self.protocol] |= {'scores': beside.name, 'scores_sha256': sha256(beside)}
        finished = datetime.now(timezone.utc).isoformat(timespec='seconds')
        seconds = round(time.monotonic() - start, 1)
        write_json(path, record := {**record, **environment(), 'seconds': seconds, 'finished': finished})
        return record

    def _part(self, part: Part, weight: float) -> dict[str, Any]:
        return {
            'scores': part.path.name,
            'scores_sha256': part.sha256,
            'stream': part.stream,
            'weight': weight,
            'metrics': metrics(self.protocol, part.file.test),
            'heldout_top1': _top1(part.file.heldout),
            'name': part.file.facts.get('name'),
            'checkpoint_sha256': part.file.facts.get('checkpoint_sha256'),
            **{key: part.facts[key] for key in ('record', 'source', 'checkpoint', 'seed') if key in part.facts},
        }


def fuse_records(paths: Sequence[str | os.PathLike[str]], **options: Any) -> dict[str, Any]:
    """:func:`fuse_files`, as a record; nothing is written."""
    return fuse_files(paths, **options).record()


def fuse_files(
    paths: Sequence[str | os.PathLike[str]],
    protocol: str = 'linear',
    weights: Sequence[float] | str | None = None,
    select: str = 'heldout',
    scores: str = 'logits',
    sources: Sequence[str] | None = None,
    same_stream: bool = False,
) -> Fusion:
    """Fuse what ``tools/test.py`` wrote.

    Args:
        paths: records (``.json``) or score files (``.npz``), one for each stream.
        protocol: whose scores are read.
        weights: one for each part in their order, or the name of a set; None: they are chosen.
        select: where nothing is given: ``'heldout'`` or ``'test'``, see :data:`SELECTIONS`.
        scores: see :func:`fuse`.
        sources: the features whose scores are taken from every record; needed where it has several.
        same_stream: several parts of one stream are wanted, such as seeds.

    Raises:
        DataError: a file is missing, was changed or does not belong to the others; held-out scores are missing.
        ConfigError: less than two parts; see :func:`fuse` and :func:`named_weights`.
    """
    parts = [part for path in paths for part in read_parts(path, protocol, sources)]
    if len(parts) < 2:
        raise ConfigError(f'{parts[0].given} alone is no ensemble; give two results or more, one for each stream')
    _check_together(parts, protocol, same_stream)
    files = [part.given for part in parts]
    tests = [part.file.test for part in parts]
    heldout = [part.file.heldout for part in parts if part.file.heldout is not None]
    if weights is not None:
        select = 'given'
        if isinstance(weights, str):
            weights = named_weights(weights, [part.stream for part in parts])
    elif select == 'heldout':
        _check_heldout(parts, protocol)
        weights = choose_weights(heldout, scores, files=files)
    elif select == 'test':
        weights = choose_weights(tests, scores, files=files)
    else:
        raise ConfigError(f'select={select!r} is neither "heldout" nor "test"')
    first = parts[0].file
    names = dict.fromkeys(str(part.file.facts.get('name')) for part in parts)
    facts = {
        **{key: first.facts.get(key) for key in ('data', 'manifest_sha256', 'protocol')},
        'stream': [part.stream for part in parts],
        'checkpoint_sha256': None,
        'name': f'{" + ".join(names)}, {len(parts)} fused',
        'evaluation': protocol,
        'settings': _common([part.settings for part in parts]),
    }
    whole = len(heldout) == len(parts)
    fused = ScoreFile(
        fuse(tests, weights, scores, files),
        fuse(heldout, weights, scores, files) if whole else None,
        first.classes,
        facts,
    )
    return Fusion(protocol, parts, list(weights), select, scores, fused)


def read_parts(
    path: str | os.PathLike[str], protocol: str = 'linear', sources: Sequence[str] | None = None
) -> list[Part]:
    """The scores of a protocol that a record names, or those of a score file.

    Raises:
        DataError: a file is missing, damaged or changed, or the record has no scores of the protocol.
        ConfigError: the record has several sources with scores, and none of them was asked for.
    """
    path = Path(path)
    if path.suffix not in ('.json', '.npz'):
        what = 'a checkpoint, no result' if path.suffix == '.pth' else 'no result of tools/test.py'
        raise DataError(f'{path} is {what}; give the JSON record that tools/test.py wrote, or its score file (.npz)')
    if path.suffix == '.npz':
        file = ScoreFile.read(path)
        return [Part(path, sha256(path), file, _stream(file.facts.get('stream', 'joint')), {}, str(path))]
    record = _read_record(path)
    found = {name: (part.get('outcomes') or {}).get(protocol) or {} for name, part in record['sources'].items()}
    scored = {name: outcome for name, outcome in found.items() if 'scores' in outcome}
    if not scored:
        raise DataError(
            f'{path} has no scores of protocol {protocol!r}; it has those of {_known(record)}. Choose with --protocol, '
            f'or run tools/test.py again with the protocol'
        )
    if sources is None and len(scored) > 1:
        raise ConfigError(f'{path} has scores of {", ".join(scored)}; say which with --source')
    if missing := [source for source in sources or () if source not in scored]:
        raise DataError(f'{path} has no scores of {", ".join(missing)} for {protocol!r}, only of {", ".join(scored)}')
    return [_read_part(path, record, source, protocol, scored[source]) for source in sources or scored]


def metrics(protocol: str, scores: Scores) -> dict[str, float]:
    """Accuracy in percent: ``<protocol>/top1``, and ``<protocol>/top5`` with more than five classes."""
    found = {f'{protocol}/top1': accuracy(scores.scores, scores.labels)}
    if scores.scores.shape[1] > 5:
        found[f'{protocol}/top5'] = accuracy(scores.scores, scores.labels, 5)
    return found


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record: dict[str, Any] = json.loads(path.read_text())
        if not all(isinstance(part, Mapping) for part in record['sources'].values()):
            raise TypeError('its sources are no objects')
    except FileNotFoundError as error:
        raise DataError(f'{path}: no such record; tools/test.py writes it') from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f'{path} is no record of tools/test.py: {error!r}') from error
    return record


def _read_part(path: Path, record: Mapping[str, Any], source: str, protocol: str, outcome: Mapping[str, Any]) -> Part:
    scores, part = path.parent / outcome['scores'], record['sources'][source]
    file, alone = ScoreFile.read(scores), len(record['sources']) == 1
    if (digest := sha256(scores)) != outcome.get('scores_sha256'):
        raise DataError(f'{scores} is not the file that {path} was written with; run tools/test.py again')
    facts = {
        'record': path.name,
        'source': source,
        'settings': (record.get('protocols') or {}).get(protocol),
        'scores_of': outcome.get('scores_of'),
        **{key: record[key] for key in ('checkpoint', 'seed') if key in record},
        **{key: part[key] for key in ('parameters', 'gmacs') if key in part},
    }
    given = str(path) if alone else f'{path} ({source})'
    return Part(scores, digest, file, _stream(part['streams']), facts, given)


def _known(record: Mapping[str, Any]) -> str:
    """Protocols that have scores there."""
    outcomes = [part.get('outcomes') or {} for part in record['sources'].values()]
    names = dict.fromkeys(name for found in outcomes for name, outcome in found.items() if 'scores' in outcome)
    return ', '.join(names) or 'none'


def _check_together(parts: Sequence[Part], protocol: str, same_stream: bool) -> None:
    """Refuse to add what does not belong together."""
    first = parts[0]
    for part in parts:
        facts, pair = part.file.facts, f'{first.given} and {part.given}'
        if facts.get('evaluation') != protocol:
            raise DataError(
                f'{part.given} holds scores of protocol {facts.get("evaluation")!r}, not {protocol!r}; '
                f'choose with --protocol'
            )
        for key, what in (('manifest_sha256', 'data sets'), ('protocol', 'splits')):
            if facts.get(key) != first.file.facts.get(key):
                both = ' and '.join(
                    f'{item.get("data")} {item.get("protocol")} ({str(item.get("manifest_sha256"))[:8]})'
                    for item in (first.file.facts, facts)
                )
                raise DataError(f'{pair} are of different {what}: {both}')
        if part.file.classes != first.file.classes:
            differing = sorted(set(part.file.classes) ^ set(first.file.classes)) or ['the same in another order']
            raise DataError(f'{pair} have other classes: {shorten(differing)}')
    for alike in _alike(parts, 'sha256'):
        raise DataError(f'{_given(alike)} hold the same scores; give each once')
    for alike in _alike(parts, 'stream') if not same_stream else ():
        raise DataError(
            f'{_given(alike)} are of the same stream, {alike[0].stream}; with --same-stream they are fused all the same'
        )


def _alike(parts: Sequence[Part], key: str) -> list[list[Part]]:
    """Groups of parts that agree in this."""
    groups: dict[str, list[Part]] = defaultdict(list)
    for part in parts:
        groups[getattr(part, key)].append(part)
    return [group for group in groups.values() if len(group) > 1]


def _given(parts: Sequence[Part]) -> str:
    return ' and '.join(part.given for part in parts)


def _check_heldout(parts: Sequence[Part], protocol: str) -> None:
    missing = [part.given for part in parts if part.file.heldout is None]
    if missing:
        raise DataError(
            f'{", ".join(missing)}: no scores of held-out training clips under protocol {protocol!r}, so nothing can '
            f'choose the weights; give them with --weights, such as --weights {EQUAL}'
        )


def _stream(stream: str | Sequence[str]) -> str:
    return stream if isinstance(stream, str) else '+'.join(stream)


def _top1(scores: Scores | None) -> float | None:
    return None if scores is None else accuracy(scores.scores, scores.labels)


def _common(values: Sequence[Any]) -> Any:
    """What all say alike; None where they do not."""
    return values[0] if all(value == values[0] for value in values) else None


def _total(values: Iterable[Any]) -> float | None:
    known = list(values)
    return None if None in known else sum(known)
