"""A network judged by protocols: features of a source extracted once, every protocol carried out, one record of all."""

import contextlib
import glob
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log
from torch import nn

from skeattn.apis import build_splits, load_model, read_checkpoint
from skeattn.apis.checkpoint import encoder_facts
from skeattn.errors import ConfigError, DataError
from skeattn.evaluation.baselines import evaluate, flatten, judge_raw, judge_untrained, untrained
from skeattn.evaluation.complexity import encoder_cost, sample_batch, training_cost
from skeattn.evaluation.features import Features, extract_features, frozen, raw_features
from skeattn.evaluation.outcome import Outcome
from skeattn.evaluation.protocols import build_protocol, configured, protocol_name, read_protocol
from skeattn.evaluation.record import config_facts, environment, outcome_facts, training_facts
from skeattn.evaluation.scores import ScoreFile
from skeattn.evaluation.subject import Subject
from skeattn.files import sha256, try_lock, write_json
from skeattn.registry import EVALUATORS

DEFAULT = ('knn', 'linear')
IDENTITY = ('config_sha256', 'manifest_sha256', 'checkpoint_sha256', 'seed', 'protocols')
"""What a record has of that which its numbers follow from, beside its sources."""
RAW, UNTRAINED, LOGITS, ENCODER = 'raw', 'untrained', 'logits', 'backbone'


class Judging:
    """A network, the clips that it is judged on, and the protocols.

    Args:
        cfg: its resolved config.
        checkpoint: its weights; None for the network as it is before training.
        protocols: names or files, see :func:`~skeattn.evaluation.protocols.read_protocol`; by default KNN, the linear
            protocol and what else the config names. Logits are judged by TopK in any case.
        sources: features to judge, ``raw`` for the coordinates; by default a protocol reads the ``source`` of its
            settings, or those that the config and the method name.
        seed: of what draws at random, and the first of the untrained networks.
        baselines: judge the coordinates and the untrained network, too.
        device: ``cpu`` or ``cuda``; by default the accelerator if there is one.

    Attributes:
        plan: source -> names of the protocols that judge it.
        frames: of a clip, ``pretrained`` (None where the checkpoint does not say) and ``judged``; others than in
            pre-training are possible and worth a warning.

    Raises:
        ConfigError: an unknown protocol or a wrong setting, a protocol for which no source is left, or a source that
            the method lacks.
        DataError: clips without label, or a class of test clips without training clip.
        CheckpointError: the checkpoint is damaged or does not fit.
    """

    def __init__(
        self,
        cfg: Config,
        checkpoint: str | os.PathLike[str] | None = None,
        protocols: Sequence[str] = (),
        sources: Sequence[str] = (),
        seed: int = 0,
        baselines: bool = False,
        device: str | None = None,
    ) -> None:
        self.cfg, self.seed, self.with_baselines = cfg, seed, baselines
        self.checkpoint = None if checkpoint is None else Path(checkpoint)
        self.device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
        evaluation = cfg.get('evaluation') or {}
        self.batch_size = evaluation.get('batch_size', 256)
        self.asked, self.settings = read_all(protocols, cfg)
        self.train, self.test = build_splits(cfg)
        check_labels(self.train, self.test)
        self.model = load_model(cfg, self.checkpoint).to(self.device)
        self.frames = self._compare_frames()
        offered = self.model.feature_sources()  # type: ignore[operator]
        named = dict.fromkeys([evaluation.get('source', ENCODER), *offered])
        self.plan = make_plan(self.asked, self.settings, list(sources), list(named))
        with frozen(self.model):
            for source in self.plan.keys() - {RAW}:  # what the method lacks is said before hours are spent
                self.model.features(self.train.__getitems__([0]), source=source)  # type: ignore[operator]

    @property
    def digest(self) -> str:
        """What the numbers follow from, except the code: another evaluation has another."""
        facts, weights = config_facts(self.cfg), self.checkpoint and sha256(self.checkpoint)
        identity = [facts['config_sha256'], facts['manifest_sha256'], weights, self.seed, self.with_baselines]
        return hashlib.sha256(json.dumps([*identity, self._used(), self.plan], default=str).encode()).hexdigest()

    def record(self, out: Path, facts: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Carry out all protocols and write the record, with scores and pictures beside it; all processes call it.

        Nothing is written before everything is done, except by protocols that train: each keeps what it has in a folder
        of its name beside the record, and goes on with that when called again.

        Args:
            out: the JSON record; the names of the other files begin with its stem.
            facts: more to record.

        Returns:
            the record; only the first process has all of it.

        Raises:
            ConfigError: ``out`` is the record of another evaluation.
            ConfigError, DataError: a protocol that trains cannot do so; nothing was written.
        """
        start, weights = time.monotonic(), self.checkpoint
        self._check_replaced(out)
        for name in filter(lambda name: trains(self.settings[name]), self._used()):
            self._build(name).check(self._subject(name, out))
        out.parent.mkdir(parents=True, exist_ok=True)
        if is_main_process():
            sweep(out)
        barrier()
        with tempfile.TemporaryDirectory(prefix=f'.{out.stem}.', dir=out.parent) as scratch, locked(Path(scratch)):
            record = {
                'name': self.cfg.model.type,
                **(facts or {}),
                **config_facts(self.cfg),
                'num_frames': self.frames,
                'device': str(self.device),
                'seed': self.seed,
                'checkpoint': weights and weights.name,
                'checkpoint_sha256': weights and sha256(weights),
                'training': weights and {**training_facts(weights), **self._training_cost()},
                'protocols': self._used(),
                'baselines': self._baselines() if self.with_baselines else {},
            }
            record['sources'] = {source: self._judge(source, record, out, Path(scratch)) for source in self.plan}
            seconds, finished = round(time.monotonic() - start, 1), datetime.now(timezone.utc)
            record |= {**environment(), 'seconds': seconds, 'finished': finished.isoformat(timespec='seconds')}
            if is_main_process():
                for path in Path(scratch).iterdir():
                    os.replace(path, out.parent / path.name)
                write_json(out, record)
        return record

    def _judge(self, source: str, record: Mapping[str, Any], out: Path, scratch: Path) -> dict[str, Any]:
        """Metrics, outcomes, streams and cost of a source; files go to ``scratch``."""
        reading = [name for name in self.plan[source] if not trains(self.settings[name])]
        model = self._network(source) if reading else self.model
        read = [self._features(model, part, source) for part in (self.train, self.test)] if reading else []
        streams = source.rpartition('/')[0] or ('joint' if source == RAW else self.cfg.get('stream', 'joint'))
        about = {'streams': [streams] if isinstance(streams, str) else list(streams)}
        cost = encoder_cost(model, sample_batch(self.train), source) if model else {'parameters': 0, 'gmacs': 0.0}
        outcomes: dict[str, Outcome] = {}
        described: dict[str, dict[str, Any]] = {}
        for name in self.plan[source]:
            start = time.monotonic()
            stem = '.'.join([out.stem, *([source.replace('/', '-')] if len(self.plan) > 1 else []), name])
            if name in reading:
                evaluator = self._build(name, out=scratch / stem)
                outcome = evaluate(evaluator, *read)
            else:
                outcome = self._build(name).judge(self._subject(name, out))
            outcomes[name] = outcome
            described[name] = {'seconds': round(time.monotonic() - start, 3)}
            if is_main_process():
                described[name] |= outcome_facts(outcome, self.test.classes)
                described[name]['files'] = {
                    kind: os.path.relpath(path, scratch if path.is_relative_to(scratch) else out.parent)
                    for kind, path in outcome.files.items()
                }
                if outcome.test is not None:
                    where = {'stream': streams, 'source': source, 'evaluation': name, 'settings': self.settings[name]}
                    path = self._write_scores(outcome, {**where, **cost}, record, scratch / f'{stem}.npz')
                    described[name] |= {'scores': path.name, 'scores_sha256': sha256(path)}
        return {**about, 'metrics': flatten(outcomes), **cost, 'outcomes': described}

    def _write_scores(self, outcome: Outcome, where: Mapping[str, Any], record: Mapping[str, Any], path: Path) -> Path:
        keys = ('name', 'data', 'manifest_sha256', 'protocol', 'checkpoint_sha256', 'seed')
        facts = {**{key: record[key] for key in keys}, **where}
        assert outcome.test is not None
        ScoreFile(outcome.test, outcome.heldout, list(self.test.classes), facts).write(path)
        return path

    def _compare_frames(self) -> dict[str, int | None]:
        judged, then = int(sample_batch(self.train, 1)['inputs'].shape[2]), None
        if self.checkpoint is not None:
            then = encoder_facts(read_checkpoint(self.checkpoint)['meta']).get('num_frames')
        if then not in (None, judged):
            steps = self.cfg.dataset.get('pipeline') or {}
            deciding = [name for name, step in steps.items() if 'num_frames' in step][-1:]
            options = [
                f'; for equal ones: --cfg-options dataset.pipeline.{name}.num_frames={then}' for name in deciding
            ]
            print_log(
                f'{self.checkpoint} was trained on clips of {then} frames and is judged on clips of '
                f'{judged}{"".join(options)}',
                'current',
                logging.WARNING,
            )
        return {'pretrained': then, 'judged': judged}

    def _check_replaced(self, out: Path) -> None:
        """Refuse a file that is the record of another evaluation."""
        try:
            record = json.loads(out.read_text())
            there = {key: record[key] for key in IDENTITY} | {'sources': [*record['sources']]}
            there['baselines'] = bool(record['baselines'])
        except (OSError, ValueError, LookupError, TypeError):  # no record
            return
        facts, weights = config_facts(self.cfg), self.checkpoint and sha256(self.checkpoint)
        ours = {**facts, 'checkpoint_sha256': weights, 'seed': self.seed, 'protocols': self._used()}
        ours = {key: ours[key] for key in IDENTITY} | {'sources': [*self.plan], 'baselines': self.with_baselines}
        ours = json.loads(json.dumps(ours))  # tuples become lists, as in the record
        other = [key for key in ours if ours[key] != there[key]]
        if other:
            raise ConfigError(
                f'{out} is the record of another evaluation ({", ".join(other)} differ); it is not replaced: choose '
                f'another name with --out, or leave --out away for one of its own'
            )

    def _subject(self, name: str, out: Path) -> Subject:
        return Subject(name, self.cfg, self.checkpoint, self.seed, out.parent)

    def _build(self, name: str, **given: Any) -> Any:
        return build_protocol(self.settings[name], seed=self.seed, classes=self.test.classes, **given)

    def _used(self) -> dict[str, dict[str, Any]]:
        """The settings of the protocols in the plan."""
        return {
            name: self.settings[name] for name in dict.fromkeys(name for used in self.plan.values() for name in used)
        }

    def _training_cost(self) -> dict[str, Any]:
        """Of a training step on these clips; unknown where the classifier was left out, see ``retarget``."""
        if self.cfg.model.get('head', ...) is None:
            return {'parameters': None, 'gmacs': None}
        return training_cost(self._fresh(), sample_batch(self.train))

    def _fresh(self) -> nn.Module:
        """A new network on the device."""
        return load_model(self.cfg).to(self.device)

    def _network(self, source: str) -> nn.Module | None:
        """What makes the features; None for the coordinates."""
        if source == RAW:
            return None
        if self.checkpoint is None:
            return untrained(self._fresh, self.train, self.seed, self.batch_size, source)
        return self.model

    def _features(self, model: nn.Module | None, part: Any, source: str) -> Features:
        return raw_features(part) if model is None else extract_features(model, part, self.batch_size, source)

    def _baselines(self) -> dict[str, dict[str, float]]:
        """Row -> metrics of what a trained encoder has to beat, by the protocols that read features."""
        source = next((source for source in self.plan if source not in (LOGITS, RAW)), ENCODER)
        names = [name for name in self.asked if not trains(self.settings[name]) and not of_logits(self.settings[name])]
        evaluators = {name: self._build(name) for name in names}
        seeds = range(self.seed, self.seed + 3)
        return {
            'raw coordinates': judge_raw(evaluators, self.train, self.test),
            'untrained, 3 seeds': judge_untrained(
                evaluators, self._fresh, self.train, self.test, seeds, self.batch_size, source
            ),
        }


def sweep(out: Path) -> None:
    """Remove the scratch folders that killed processes left of a record; one that is in use is locked and stays."""
    for left in out.parent.glob(f'.{glob.escape(out.stem)}.????????'):
        with contextlib.suppress(FileNotFoundError), locked(left) as mine:
            if mine:
                shutil.rmtree(left, ignore_errors=True)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[bool]:
    """Hold the lock of a folder, which ends with the process.

    Yields:
        whether it was taken: not where another process holds it, nor on a file system without locks.
    """
    held = None
    with contextlib.suppress(OSError):
        held = try_lock(folder)
    try:
        yield held is not None
    finally:
        if held:
            held.close()


def read_all(protocols: Sequence[str], cfg: Config) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """The names of the protocols asked for, and the settings of these and of what judges logits."""
    own = configured(cfg)
    logits = [name for name, item in own.items() if of_logits(item)] or ['topk']
    asked = list(protocols) or [*DEFAULT, *(name for name in own if name not in logits)]
    settings: dict[str, dict[str, Any]] = {}
    for protocol in dict.fromkeys([*asked, *logits]):
        name = protocol_name(protocol)
        if name in settings:
            raise ConfigError(f'two protocols are called {name!r}; rename the file {protocol}')
        settings[name] = read_protocol(protocol, cfg)
    return list(dict.fromkeys(map(protocol_name, asked))), settings


def make_plan(
    asked: Sequence[str], settings: Mapping[str, Mapping[str, Any]], sources: list[str], named: list[str]
) -> dict[str, list[str]]:
    """Which protocols judge which source.

    Args:
        asked: protocols.
        settings: of these and of what judges logits.
        sources: those asked for; they are stronger than the ``source`` of settings.
        named: those of config and method.
    """
    offered = sources or named
    plan: dict[str, list[str]] = {source: [] for source in offered}
    for name in asked:
        own = settings[name].get('source')
        wanted = sources or ([own] if own else named)
        fitting = [source for source in wanted if (source == LOGITS) == of_logits(settings[name])]
        if trains(settings[name]):
            fitting = [ENCODER]
        elif not fitting and sources != [LOGITS]:
            raise ConfigError(
                f'protocol {name!r} cannot judge {", ".join(wanted)}: logits are for TopK, and for it alone'
            )
        for source in fitting:
            plan.setdefault(source, []).append(name)
    if not plan.get(LOGITS, True) and not all(trains(settings[name]) for name in asked):
        plan[LOGITS] = [name for name, item in settings.items() if of_logits(item)]
    return {source: names for source, names in plan.items() if names}


def trains(settings: Mapping[str, Any]) -> bool:
    """Whether a protocol trains the network further, instead of reading features."""
    return hasattr(EVALUATORS.get(settings['type']), 'judge')


def of_logits(settings: Mapping[str, Any]) -> bool:
    """Whether a protocol judges logits, and nothing else."""
    return settings['type'] == 'TopK'


def check_labels(train: Any, test: Any) -> None:
    """Refuse data sets by which nothing can be judged.

    Raises:
        DataError: a clip has no label, or a class of test clips has no training clip.
    """
    for split, part in (('training', train), ('test', test)):
        without = [name for name, label in zip(part.names, part.labels, strict=True) if label < 0]
        if without:
            raise DataError(
                f'{len(without)} of {len(part)} {split} clips have no label, such as {without[0]}; protocols need the '
                f'labels of all clips: convert the set with them'
            )
    absent = sorted(_labels(test) - _labels(train))
    if absent:
        shown = ', '.join(repr(str(test.classes[label])) for label in absent[:3])
        raise DataError(
            f'{len(absent)} classes of the test clips have no training clip, such as {shown}; they cannot be '
            f'recognised: see dataset.split and dataset.subset'
        )


def _labels(part: Any) -> set[int]:
    labels: Iterable[Any] = part.labels
    return {int(label) for label in labels}
