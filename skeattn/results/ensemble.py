"""An ensemble: recorded class scores of several streams, fused, and its record.

The releases add raw classifier outputs, weighted, and choose the weights, where they choose, on the test labels. Here
they are chosen on held-out training clips; the test clips choose only on request, and the record states it.
"""

import hashlib
import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from skeattn.errors import ConfigError, DataError, shorten
from skeattn.evaluation.fusion import EQUAL, choose_weights, fuse, named_weights
from skeattn.evaluation.knn import KNNEvaluator
from skeattn.evaluation.metrics import accuracy, confusion, per_class
from skeattn.evaluation.result import Scores
from skeattn.files import sha256
from skeattn.results import record as records
from skeattn.results.provenance import environment
from skeattn.results.record import EnsembleRecord, PartRecord, ProtocolRecord, Record, SourceRecord
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
        file: its content.
        stream: its stream, several joined by ``+``.
        given: its name in messages: the record, or the score file where that was given.
        record_path, record, source: the record that names the file, and the source there; None without one.
    """

    path: Path
    sha256: str
    file: ScoreFile
    stream: str
    given: str
    record_path: Path | None = None
    record: Record | None = None
    source: str | None = None

    @property
    def protocol(self) -> str | None:
        """The protocol that the scores are of."""
        name: str | None = self.file.facts.get('protocol')
        return name

    @property
    def settings(self) -> Mapping[str, Any] | None:
        """Of the protocol; None where they are unknown."""
        recorded = self.record.protocols.get(self.protocol or '') if self.record else None
        return recorded or self.file.facts.get('settings')

    @property
    def source_record(self) -> SourceRecord | None:
        """What the record has on the source."""
        return self.record.sources[self.source] if self.record and self.source else None

    @property
    def scores_of(self) -> str | None:
        """The epoch or the K that the scores belong to."""
        source = self.source_record
        return source.protocols[self.protocol or ''].scores_of if source else None


@dataclass
class Ensemble:
    """Several streams as one classifier: :func:`fuse_files` makes it.

    Args:
        protocol: the evaluation protocol whose scores were added, for example ``'linear'``.
        parts: the streams.
        weights: one for each.
        selection: a key of :data:`SELECTIONS`.
        kind: what was added, ``'logits'`` or ``'softmax'``.
        scores: of the ensemble.
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
        """The epoch or the K that the scores of each part belong to, as far as its record has it."""
        names = [part.scores_of for part in self.parts]
        return {row: text for row, text in zip(self.rows, names, strict=True) if text}

    @property
    def default_path(self) -> Path:
        """The record's place beside the first part; another ensemble has another name."""
        identity = [[part.sha256 for part in self.parts], self.weights, self.selection, self.kind]
        digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8]
        return self.parts[0].path.parent / f'{FUSED}_{self.protocol}_{digest}.json'

    def record(self) -> Record:
        """The record; its one source is ``'fusion'``."""
        facts, fused = self.scores.facts, self.scores
        result = ProtocolRecord(
            selection={'top1': f'last epoch, {SELECTIONS[self.selection]}'},
            per_class=per_class(fused.test, fused.classes),
            confusion=confusion(fused.test, fused.classes),
        )
        sources = [part.source_record for part in self.parts]
        source = SourceRecord(
            streams=[part.stream for part in self.parts],
            metrics=metrics(self.protocol, fused.test),
            protocols={self.protocol: result},
            parameters=_total(source and source.parameters for source in sources),
            gmacs=_total(source and source.gmacs for source in sources),
        )
        return Record(
            name=facts['name'],
            data=str(facts['data']),
            manifest_sha256=facts['manifest_sha256'],
            split=str(facts['split']),
            stream=facts['stream'],
            seed=_common([part.record.seed if part.record else None for part in self.parts]),
            protocols={self.protocol: facts['settings']},
            sources={FUSED: source},
            ensemble=EnsembleRecord(
                weights=dict(zip(self.rows, self.weights, strict=True)),
                selection=self.selection,
                added=self.kind,
                heldout_top1=_top1(fused.heldout),
                parts=[self._part(part, weight) for part, weight in zip(self.parts, self.weights, strict=True)],
            ),
        )

    def write(self, path: str | os.PathLike[str]) -> Record:
        """Write the record, and the fused scores beside it; returns the record."""
        start, path = time.monotonic(), Path(path)
        beside = path.with_name(f'{path.stem}.{self.protocol}.npz')
        self.scores.write(beside)
        record = self.record()
        source = record.sources[FUSED]
        result = replace(source.protocols[self.protocol], scores=beside.name, scores_sha256=sha256(beside))
        record = replace(
            record,
            sources={FUSED: replace(source, protocols={self.protocol: result})},
            seconds=round(time.monotonic() - start, 1),
            finished=datetime.now(timezone.utc).isoformat(timespec='seconds'),
            **environment(),
        )
        records.write(path, record)
        return record

    def _part(self, part: Part, weight: float) -> PartRecord:
        record, checkpoint = part.record, part.record and part.record.checkpoint
        return PartRecord(
            scores=part.path.name,
            scores_sha256=part.sha256,
            stream=part.stream,
            weight=weight,
            metrics=metrics(self.protocol, part.file.test),
            heldout_top1=_top1(part.file.heldout),
            name=part.file.facts.get('name'),
            checkpoint_sha256=part.file.facts.get('checkpoint_sha256'),
            record=part.record_path.name if part.record_path else None,
            source=part.source,
            checkpoint=checkpoint if isinstance(checkpoint, str) else None,
            seed=record.seed if record else None,
        )


def fuse_files(
    paths: Sequence[str | os.PathLike[str]],
    protocol: str = 'linear',
    weights: Sequence[float] | str | None = None,
    select: str = 'heldout',
    scores: str = 'logits',
    sources: Sequence[str] | None = None,
    same_stream: bool = False,
) -> Ensemble:
    """Fuse what ``tools/test.py`` wrote.

    Args:
        paths: records (``.json``) or score files (``.npz``), one for each stream.
        protocol: whose scores are read.
        weights: one for each part in their order, or the name of a set; None: they are chosen.
        select: where no weights are given: ``'heldout'`` or ``'test'``, see :data:`SELECTIONS`.
        scores: see :func:`~skeattn.evaluation.fusion.fuse`.
        sources: the features whose scores are taken from every record; needed where it has several.
        same_stream: several parts of one stream are wanted, such as seeds.

    Raises:
        DataError: a file is missing, was changed or does not belong to the others; held-out scores are missing.
        ConfigError: less than two parts; see :func:`~skeattn.evaluation.fusion.fuse` and
            :func:`~skeattn.evaluation.fusion.named_weights`.
    """
    parts = [part for path in paths for part in read_parts(path, protocol, sources)]
    if len(parts) < 2:
        raise ConfigError(f'{parts[0].given} alone is no ensemble; give two results or more, one for each stream')
    _check_together(parts, protocol, same_stream)
    names = [part.given for part in parts]
    tests = [part.file.test for part in parts]
    heldout = [part.file.heldout for part in parts if part.file.heldout is not None]
    if weights is not None:
        select = 'given'
        if isinstance(weights, str):
            weights = named_weights(weights, [part.stream for part in parts])
    elif select == 'heldout':
        _check_heldout(parts, protocol)
        weights = choose_weights(heldout, scores, files=names)
    elif select == 'test':
        weights = choose_weights(tests, scores, files=names)
    else:
        raise ConfigError(f'select={select!r} is neither "heldout" nor "test"')
    first = parts[0].file
    methods = dict.fromkeys(str(part.file.facts.get('name')) for part in parts)
    facts = {
        **{key: first.facts.get(key) for key in ('data', 'manifest_sha256', 'split')},
        'stream': [part.stream for part in parts],
        'checkpoint_sha256': None,
        'name': f'{" + ".join(methods)}, {len(parts)} fused',
        'protocol': protocol,
        'settings': _common([part.settings for part in parts]),
    }
    fused = ScoreFile(
        fuse(tests, weights, scores, names),
        fuse(heldout, weights, scores, names) if len(heldout) == len(parts) else None,
        first.classes,
        facts,
    )
    return Ensemble(protocol, parts, list(weights), select, scores, fused)


def read_parts(
    path: str | os.PathLike[str], protocol: str = 'linear', sources: Sequence[str] | None = None
) -> list[Part]:
    """The scores of a protocol that a record names, or those of a score file.

    Raises:
        RecordError: no readable record.
        DataError: a file is missing, damaged or changed, or the record has no scores of the protocol.
        ConfigError: the record has several sources with scores, and none of them is named.
    """
    path = Path(path)
    if path.suffix not in ('.json', '.npz'):
        what = 'a checkpoint, no result' if path.suffix == '.pth' else 'no result of tools/test.py'
        raise DataError(f'{path} is {what}; give the JSON record that tools/test.py wrote, or its score file (.npz)')
    if path.suffix == '.npz':
        file = ScoreFile.read(path)
        return [Part(path, sha256(path), file, _stream(file.facts.get('stream', 'joint')), str(path))]
    record = records.read(path)
    scored = [
        name
        for name, source in record.sources.items()
        if protocol in source.protocols and source.protocols[protocol].scores
    ]
    if not scored:
        raise DataError(
            f'{path} has no scores of protocol {protocol!r}; it has those of {_scored_protocols(record)}. Choose with '
            f'--protocol, or run tools/test.py again with the protocol'
        )
    if sources is None and len(scored) > 1:
        raise ConfigError(f'{path} has scores of {", ".join(scored)}; choose with --source')
    if missing := [source for source in sources or () if source not in scored]:
        raise DataError(f'{path} has no scores of {", ".join(missing)} for {protocol!r}, only of {", ".join(scored)}')
    return [_read_part(path, record, source, protocol) for source in sources or scored]


def metrics(protocol: str, scores: Scores) -> dict[str, float]:
    """Accuracy in percent: ``<protocol>/top1``, and ``<protocol>/top5`` with more than five classes."""
    values = {f'{protocol}/top1': accuracy(scores.scores, scores.labels)}
    if scores.scores.shape[1] > 5:
        values[f'{protocol}/top5'] = accuracy(scores.scores, scores.labels, 5)
    return values


def _read_part(path: Path, record: Record, source: str, protocol: str) -> Part:
    part = record.sources[source]
    result = part.protocols[protocol]
    scores = path.parent / str(result.scores)
    file = ScoreFile.read(scores)
    if (digest := sha256(scores)) != result.scores_sha256:
        raise DataError(f'{scores} is not the file that {path} was written with; run tools/test.py again')
    given = str(path) if len(record.sources) == 1 else f'{path} ({source})'
    return Part(scores, digest, file, _stream(part.streams), given, path, record, source)


def _scored_protocols(record: Record) -> str:
    """Protocols that have scores there."""
    results = [item for source in record.sources.values() for item in source.protocols.items()]
    return ', '.join(dict.fromkeys(name for name, result in results if result.scores)) or 'none'


def _check_together(parts: Sequence[Part], protocol: str, same_stream: bool) -> None:
    """Refuse to add what does not belong together."""
    first = parts[0]
    for part in parts:
        facts, pair = part.file.facts, f'{first.given} and {part.given}'
        if facts.get('protocol') != protocol:
            raise DataError(
                f'{part.given} holds scores of protocol {facts.get("protocol")!r}, not {protocol!r}; '
                f'choose with --protocol'
            )
        for key, what in (('manifest_sha256', 'data sets'), ('split', 'splits')):
            if facts.get(key) != first.file.facts.get(key):
                both = ' and '.join(
                    f'{item.get("data")} {item.get("split")} ({str(item.get("manifest_sha256"))[:8]})'
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
