"""An ensemble: recorded class scores of several streams, fused, and its record.

The releases add weighted raw classifier outputs; where they choose the weights, they do so on the test labels. Here the
weights are chosen on held-out training clips. They are chosen on the test clips only on request, and the record states
it.
"""

import hashlib
import json
import os
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from skeattn.errors import ConfigError, DataError, shorten
from skeattn.evaluation.fusion import EQUAL, choose_weights, fuse, named_weights
from skeattn.evaluation.knn import KNNEvaluator
from skeattn.evaluation.metrics import accuracy, confusion, per_class
from skeattn.evaluation.result import Scores
from skeattn.files import sha256
from skeattn.results import record as records
from skeattn.results.parts import Part, read_parts
from skeattn.results.provenance import completion
from skeattn.results.record import EnsembleRecord, PartRecord, ProtocolRecord, Record, SourceRecord
from skeattn.results.score_file import ScoreFile

SELECTIONS = {
    'given': 'weights given beforehand',
    'heldout': 'weights chosen on held-out training clips',
    'test': 'weights chosen ON THE TEST CLIPS, with their labels',
}
FUSED = 'fusion'


@dataclass
class Ensemble:
    """Several streams as one classifier, made by :func:`fuse_files`.

    Args:
        protocol: the protocol whose scores were added, for example ``'linear'``.
        parts: the streams.
        weights: one for each part.
        selection: a key of :data:`SELECTIONS`.
        kind: kind of the added scores, ``'logits'`` or ``'softmax'``.
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
        """A name for each part: its stream, followed by its file if several parts have the same stream."""
        count = Counter(part.stream for part in self.parts)
        return [part.stream if count[part.stream] == 1 else f'{part.stream}, {part.path}' for part in self.parts]

    @property
    def added(self) -> str:
        """Kind of the added scores for a report; the votes of neighbours are not logits."""
        votes = any((part.settings or {}).get('type') == KNNEvaluator.__name__ for part in self.parts)
        return 'scores' if votes and self.kind == 'logits' else self.kind

    @property
    def scores_of(self) -> dict[str, str]:
        """Row -> the epoch or K of its scores, if its record has it."""
        texts = [part.scores_of for part in self.parts]
        return {row: text for row, text in zip(self.rows, texts, strict=True) if text}

    @property
    def _chosen(self) -> list[str]:
        """How the scores of the parts were chosen, where all say the same."""
        said = {part.scores_of for part in self.parts}
        return [text for text in said if text is not None and len(said) == 1]

    @property
    def default_path(self) -> Path:
        """Path of the record beside the first part; it differs between ensembles."""
        identity = [[part.sha256 for part in self.parts], self.weights, self.selection, self.kind]
        digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:8]
        return self.parts[0].path.parent / f'{FUSED}_{self.protocol}_{digest}.json'

    def record(self, scores: Path | None = None) -> Record:
        """The record; its only source is ``'fusion'``.

        Args:
            scores: the file that holds the fused scores, if there is one.
        """
        facts, fused = self.scores.facts, self.scores
        result = ProtocolRecord(
            selection={'top1': ', '.join([*self._chosen, SELECTIONS[self.selection]])},
            per_class=per_class(fused.test, fused.classes),
            confusion=confusion(fused.test, fused.classes),
            scores=scores.name if scores else None,
            scores_sha256=sha256(scores) if scores else None,
        )
        sources = [part.source_record for part in self.parts]
        source = SourceRecord(
            streams=[part.stream for part in self.parts],
            readout=self.parts[0].readout,
            metrics=metrics(self.protocol, fused.test),
            metrics_without_copies=self._without_copies(),
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
        """Write the record, with the fused scores beside it; returns the record."""
        start, path = time.monotonic(), Path(path)
        scores = path.with_name(f'{path.stem}.{self.protocol}.npz')
        self.scores.write(scores)
        record = self.record(scores)
        record = replace(record, seconds=round(time.monotonic() - start, 1), **completion())
        records.write(path, record)
        return record

    def _without_copies(self) -> dict[str, float]:
        copies, test = frozenset(self.scores.facts.get('copies', ())), self.scores.test
        remaining = [i for i, name in enumerate(test.names) if name not in copies]
        if not copies or not remaining:
            return {}
        names = [test.names[i] for i in remaining]
        return metrics(self.protocol, Scores(test.scores[remaining], test.labels[remaining], names))

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
    """Fuse results of ``skeattn test``.

    Args:
        paths: records (``.json``) or score files (``.npz``), one for each stream.
        protocol, sources: see :func:`~skeattn.results.parts.read_parts`.
        weights: one for each part in their order, or the name of a set; None chooses them.
        select: how to choose weights, ``'heldout'`` or ``'test'``, see :data:`SELECTIONS`.
        scores: see :func:`~skeattn.evaluation.fusion.fuse`.
        same_stream: accept several parts of one stream, such as seeds.

    Raises:
        DataError: a file is missing, was changed or does not fit the others; held-out scores are missing.
        ConfigError: fewer than two parts; see :func:`~skeattn.evaluation.fusion.fuse` and
            :func:`~skeattn.evaluation.fusion.named_weights`.
    """
    parts = [part for path in paths for part in read_parts(path, protocol, sources)]
    if len(parts) < 2:
        raise ConfigError(f'{parts[0].display_name} alone is no ensemble; give two results or more, one per stream')
    _check_together(parts, protocol, same_stream)
    names = [part.display_name for part in parts]
    tests = [part.file.test for part in parts]
    heldout = [part.file.heldout for part in parts if part.file.heldout is not None]
    if weights is None:
        weights, selection = _choose(parts, protocol, select, scores), select
    else:
        selection = 'given'
        if isinstance(weights, str):
            weights = named_weights(weights, [part.stream for part in parts])
    fused = ScoreFile(
        fuse(tests, weights, scores, names),
        fuse(heldout, weights, scores, names) if len(heldout) == len(parts) else None,
        parts[0].file.classes,
        _facts(parts, protocol),
    )
    return Ensemble(protocol, parts, list(weights), selection, scores, fused)


def metrics(protocol: str, scores: Scores) -> dict[str, float]:
    """Accuracy in percent: ``<protocol>/top1``, and ``<protocol>/top5`` with more than five classes."""
    values = {f'{protocol}/top1': accuracy(scores.scores, scores.labels)}
    if scores.scores.shape[1] > 5:
        values[f'{protocol}/top5'] = accuracy(scores.scores, scores.labels, 5)
    return values


def _choose(parts: Sequence[Part], protocol: str, select: str, scores: str) -> list[float]:
    """The best weights on the held-out or on the test clips."""
    if select not in ('heldout', 'test'):
        raise ConfigError(f'unknown select={select!r}; choose "heldout" or "test"')
    names = [part.display_name for part in parts]
    if select == 'test':
        return choose_weights([part.file.test for part in parts], scores, files=names)
    heldout = [part.file.heldout for part in parts if part.file.heldout is not None]
    if missing := [part.display_name for part in parts if part.file.heldout is None]:
        raise DataError(
            f'{", ".join(missing)}: no scores of held-out training clips under protocol {protocol!r} to choose the '
            f'weights; give them with --weights, such as --weights {EQUAL}'
        )
    return choose_weights(heldout, scores, files=names)


def _facts(parts: Sequence[Part], protocol: str) -> dict[str, Any]:
    """The facts of the fused scores."""
    methods = dict.fromkeys(str(part.file.facts.get('name')) for part in parts)
    copies = {name for part in parts for name in part.file.facts.get('copies', ())}
    return {
        **({'copies': sorted(copies)} if copies else {}),
        **{key: parts[0].file.facts.get(key) for key in ('data', 'manifest_sha256', 'split')},
        'stream': [part.stream for part in parts],
        'readout': parts[0].readout,
        'checkpoint_sha256': None,
        'name': f'{" + ".join(methods)}, {len(parts)} fused',
        'protocol': protocol,
        'settings': _common([part.settings for part in parts]),
    }


def _check_together(parts: Sequence[Part], protocol: str, same_stream: bool) -> None:
    """Refuse parts that must not be added."""
    first = parts[0]
    for part in parts:
        facts, pair = part.file.facts, f'{first.display_name} and {part.display_name}'
        if facts.get('protocol') != protocol:
            raise DataError(
                f'{part.display_name} holds scores of protocol {facts.get("protocol")!r}, not {protocol!r}; '
                f'choose with --protocol'
            )
        for key, kind in (('manifest_sha256', 'data sets'), ('split', 'splits')):
            if facts.get(key) != first.file.facts.get(key):
                both = ' and '.join(
                    f'{item.get("data")} {item.get("split")} ({str(item.get("manifest_sha256"))[:8]})'
                    for item in (first.file.facts, facts)
                )
                raise DataError(f'{pair} are of different {kind}: {both}; evaluate both on the same one')
        if part.readout != first.readout:
            raise DataError(
                f'{pair} have different readouts, {first.readout} and {part.readout}; evaluate both with the same one '
                f'(skeattn test --readout)'
            )
        if part.file.classes != first.file.classes:
            differing = sorted(set(part.file.classes) ^ set(first.file.classes)) or ['the same in a different order']
            raise DataError(f'{pair} have different classes: {shorten(differing)}; evaluate both on the same set')
    for group in _groups(parts, 'sha256'):
        raise DataError(f'{_names(group)} hold the same scores; give each file once')
    for group in _groups(parts, 'stream') if not same_stream else ():
        raise DataError(f'{_names(group)} are of the same stream, {group[0].stream}; fuse them with --same-stream')


def _groups(parts: Sequence[Part], key: str) -> list[list[Part]]:
    """Groups of several parts with an equal attribute."""
    groups: dict[str, list[Part]] = defaultdict(list)
    for part in parts:
        groups[getattr(part, key)].append(part)
    return [group for group in groups.values() if len(group) > 1]


def _names(parts: Sequence[Part]) -> str:
    return ' and '.join(part.display_name for part in parts)


def _top1(scores: Scores | None) -> float | None:
    return None if scores is None else accuracy(scores.scores, scores.labels)


def _common(values: Sequence[Any]) -> Any:
    """The value if all are equal; None otherwise."""
    return values[0] if all(value == values[0] for value in values) else None


def _total(values: Iterable[Any]) -> float | None:
    """The sum; None if a value is unknown."""
    numbers = list(values)
    return None if None in numbers else sum(numbers)
