"""A network evaluated by protocols: features of a source extracted once, one record of all results."""

import contextlib
import glob
import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log
from torch import nn

from skeattn.checkpoint import encoder_facts, read_checkpoint
from skeattn.datasets import PackedSet
from skeattn.datasets.inspection import copied_names
from skeattn.datasets.labelled import labelled_clips_of
from skeattn.datasets.packed import MANIFEST
from skeattn.engine.build import build_splits, load_model
from skeattn.errors import ConfigError, NoClipsError, RecordError
from skeattn.evaluation.baselines import evaluate_raw, evaluate_untrained, untrained
from skeattn.evaluation.complexity import encoder_cost, sample_batch, training_cost
from skeattn.evaluation.evaluator import flat_metrics, run_evaluator
from skeattn.evaluation.exclusion import WithoutClips, without_clips
from skeattn.evaluation.features import Features, extract_features, frozen, raw_features
from skeattn.evaluation.metrics import confusion, per_class
from skeattn.evaluation.result import ProtocolResult
from skeattn.files import sha256, try_lock, write_atomic
from skeattn.protocols.plan import ENCODER, LOGITS, check_labels, plan_sources, read_protocols, reads_logits, trains
from skeattn.protocols.settings import build_protocol
from skeattn.protocols.target import EvalTarget
from skeattn.results import record as records
from skeattn.results.provenance import config_facts, environment, training_facts
from skeattn.results.record import ProtocolRecord, Record, SourceRecord, TrainingRecord
from skeattn.results.report import selection
from skeattn.results.score_file import ScoreFile

IDENTITY = ('config_sha256', 'manifest_sha256', 'checkpoint_sha256', 'seed', 'protocols')
"""Fields of a record that its numbers follow from, beside its sources."""
RAW, UNTRAINED = 'raw', 'untrained'
WITHOUT = ', without copies'
"""End of the name of a row whose numbers leave out the test clips that equal a training clip."""


class Evaluation:
    """A network, the clips that it is evaluated on, and the protocols.

    Args:
        cfg: its resolved config.
        checkpoint: its weights; None for the network before training.
        protocols: names or files, see :func:`~skeattn.protocols.settings.read_protocol`; by default KNN, the linear
            protocol and the other evaluators of the config. Logits are always evaluated by TopK.
        sources: features to evaluate, ``raw`` for the coordinates; by default a protocol reads the ``source`` of its
            settings, or those of the config and the method.
        seed: of all random draws, and the first of the untrained networks.
        baselines: also evaluate the coordinates and the untrained network.
        device: ``cpu`` or ``cuda``; by default the accelerator if there is one.

    Attributes:
        plan: source -> names of the protocols that evaluate it.
        copies: names of the test clips that equal a training clip.
        unlabelled: number of clips that are left out, because they have no label.
        frames: of a clip, ``pretrained`` (None where it is unknown) and ``evaluated``; they may differ, with a warning.

    Raises:
        ConfigError: an unknown protocol or a wrong setting, a protocol for which no source is left, or a source that
            the method lacks.
        NoClipsError: no test or training clips, or none with a label.
        DataError: a class of test clips without training clip.
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
        self.cfg, self.seed, self.baselines = cfg, seed, baselines
        self.checkpoint = None if checkpoint is None else Path(checkpoint)
        self.device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
        evaluation = cfg.get('evaluation') or {}
        self.batch_size = evaluation.get('batch_size', 256)
        self.protocols, self.settings = read_protocols(protocols, cfg)
        try:
            parts = build_splits(cfg)
            self.train, self.test = map(labelled_clips_of, parts)
        except NoClipsError as error:
            raise NoClipsError(f'no evaluation: {error}; protocols need training and test clips with labels') from error
        self.unlabelled = sum(map(len, parts)) - len(self.train) - len(self.test)
        check_labels(self.train, self.test)
        self.copies = self._find_copies()
        self.model = load_model(cfg, self.checkpoint).to(self.device)
        self.frames = self._compare_frames()
        own = self.model.feature_sources()  # type: ignore[operator]
        offered = dict.fromkeys([evaluation.get('source', ENCODER), *own])
        self.plan = plan_sources(self.protocols, self.settings, list(sources), list(offered))
        with frozen(self.model):
            for source in self.plan.keys() - {RAW}:  # a source that the method lacks fails before hours are spent
                self.model.features(self.train.__getitems__([0]), source=source)  # type: ignore[operator]

    @property
    def id(self) -> str:
        """Digest of everything that the numbers follow from, except the code."""
        facts, weights = config_facts(self.cfg), self.checkpoint and sha256(self.checkpoint)
        identity = [facts['config_sha256'], facts['manifest_sha256'], weights, self.seed, self.baselines]
        return hashlib.sha256(json.dumps([*identity, self._used(), self.plan], default=str).encode()).hexdigest()

    def run(self, out: str | os.PathLike[str], facts: Mapping[str, Any] | None = None) -> Record:
        """Run all protocols and write the record, with scores and pictures beside it; all processes call it.

        Nothing is written before everything is done, except by protocols that train: each keeps its files in a folder
        of its name beside the record, and continues with them when called again.

        Args:
            out: the JSON record; the names of the other files begin with its stem.
            facts: further fields of the record, such as ``name`` and ``config``.

        Returns:
            the record; only the first process has all of it.

        Raises:
            ConfigError: ``out`` is the record of another evaluation, or a fact is no field of a record.
            ConfigError, DataError: a protocol that trains cannot do so; nothing was written.
        """
        start, weights, out = time.monotonic(), self.checkpoint, Path(out)
        self._check_replaced(out)
        for name in filter(lambda name: trains(self.settings[name]), self._used()):
            self._build(name).check(self._target(name, out))
        record = Record.from_dict(
            {
                'version': records.VERSION,
                'name': self.cfg.model.type,
                **config_facts(self.cfg),
                'clips': {
                    'train': len(self.train),
                    'test': len(self.test),
                    'copies': len(self.copies),
                    'unlabelled': self.unlabelled,
                },
                'num_frames': self.frames,
                'device': str(self.device),
                'seed': self.seed,
                'checkpoint': weights and weights.name,
                'checkpoint_sha256': weights and sha256(weights),
                'protocols': self._used(),
                'sources': {},
                **(facts or {}),
            },
            'facts',
        )
        out.parent.mkdir(parents=True, exist_ok=True)
        if is_main_process():
            sweep(out)
        barrier()
        with tempfile.TemporaryDirectory(prefix=f'.{out.stem}.', dir=out.parent) as scratch, locked(Path(scratch)):
            if weights:
                record = replace(record, training=TrainingRecord(**training_facts(weights), **self._training_cost()))
            if self.baselines:
                record = replace(record, baselines=self._evaluate_baselines())
            sources = {source: self._evaluate(source, record, out, Path(scratch)) for source in self.plan}
            seconds, finished = round(time.monotonic() - start, 1), datetime.now(timezone.utc)
            record = replace(
                record,
                sources=sources,
                seconds=seconds,
                finished=finished.isoformat(timespec='seconds'),
                **environment(),
            )
            if is_main_process():
                for path in Path(scratch).iterdir():
                    os.replace(path, out.parent / path.name)
                records.write(out, record)
        return record

    def _evaluate(self, source: str, record: Record, out: Path, scratch: Path) -> SourceRecord:
        """The results on a source; files are written into ``scratch``."""
        reading = [name for name in self.plan[source] if not trains(self.settings[name])]
        model = self._network(source) if reading else self.model
        features = [self._features(model, part, source) for part in (self.train, self.test)] if reading else []
        streams = source.rpartition('/')[0] or ('joint' if source == RAW else self.cfg.get('stream', 'joint'))
        cost = encoder_cost(model, sample_batch(self.train), source) if model else {'parameters': 0, 'gmacs': 0.0}
        results: dict[str, ProtocolResult] = {}
        without: dict[str, ProtocolResult] = {}
        recorded: dict[str, ProtocolRecord] = {}
        for name in self.plan[source]:
            start = time.monotonic()
            if name in reading:
                results[name] = run_evaluator(self._build(name), *features)
            else:
                results[name] = self._build(name).run(self._target(name, out))
            if self.copies and name in reading:
                without[name] = run_evaluator(WithoutClips(self._build(name), self.copies), *features)
            elif self.copies:
                without[name] = without_clips(results[name], self.copies)
            seconds = round(time.monotonic() - start, 3)
            recorded[name] = ProtocolRecord(seconds=seconds)
            if is_main_process():
                stem = '.'.join([out.stem, *([source.replace('/', '-')] if len(self.plan) > 1 else []), name])
                about = {'stream': streams, 'source': source, 'protocol': name, 'settings': self.settings[name], **cost}
                recorded[name] = self._record(results[name], seconds, scratch / stem, record, about)
        names = [streams] if isinstance(streams, str) else list(streams)
        return SourceRecord(
            streams=names,
            metrics=flat_metrics(results),
            metrics_without_copies=flat_metrics(without),
            protocols=recorded,
            **cost,
        )

    def _record(
        self, result: ProtocolResult, seconds: float, stem: Path, record: Record, about: Mapping[str, Any]
    ) -> ProtocolRecord:
        """A result as it is recorded; its scores, arrays and pictures are written under ``stem``."""
        chosen = {metric: selection(metric) for metric in result.metrics}
        facts = dict(result.facts)
        fields: dict[str, Any] = {
            'seconds': seconds,
            'selection': {metric: text for metric, text in chosen.items() if text},
            'notes': result.notes,
            'curves': result.curves,
            **{key: facts.pop(key) for key in ('scores_of', 'labelled', 'device') if key in facts},
            'files': self._write_arrays(result, stem),
            'facts': facts,
        }
        if result.test is not None:
            classes = list(self.test.classes)
            keys = ('name', 'data', 'manifest_sha256', 'split', 'checkpoint_sha256', 'seed')
            path = stem.with_name(f'{stem.name}.npz')
            ScoreFile(
                result.test, result.heldout, classes, {**{key: getattr(record, key) for key in keys}, **about}
            ).write(path)
            fields |= {
                'per_class': per_class(result.test, classes),
                'confusion': confusion(result.test, classes),
                'scores': path.name,
                'scores_sha256': sha256(path),
            }
        return ProtocolRecord(**fields)

    def _write_arrays(self, result: ProtocolResult, stem: Path) -> dict[str, str]:
        """Write the arrays of a result, and the map that is drawn of its points; kind -> file name."""
        files = {kind: stem.with_name(f'{stem.name}.{kind}.npz') for kind in result.arrays}
        for kind, arrays in result.arrays.items():
            write_atomic(files[kind], lambda file, arrays=arrays: np.savez(file, **arrays))  # type: ignore[misc]
        if 'points' in result.arrays:
            from skeattn.visualization.embedding import draw_maps  # needs the extra [vis]

            points, labels = result.arrays['points']['points'], result.arrays['points']['labels']
            files['map'] = stem.with_name(f'{stem.name}.map.png')
            draw_maps({f'{len(points)} test clips': (points, labels)}, self.test.classes, files['map'])
        return {kind: path.name for kind, path in files.items()}

    def _find_copies(self) -> frozenset[str]:
        """Test clips that equal a training clip of the split; none is known of a data set that is no packed set."""
        data, split = self.cfg.dataset.get('data'), self.cfg.dataset.get('split')
        if data is None or split is None or not (Path(data) / MANIFEST).is_file():
            return frozenset()
        return copied_names(PackedSet.open(data), split) & frozenset(map(str, self.test.names))

    def _compare_frames(self) -> dict[str, int | None]:
        evaluated, pretrained = int(sample_batch(self.train, 1)['inputs'].shape[2]), None
        if self.checkpoint is not None:
            pretrained = encoder_facts(read_checkpoint(self.checkpoint)['meta']).get('num_frames')
        if pretrained not in (None, evaluated):
            steps = self.cfg.dataset.get('pipeline') or {}
            deciding = [name for name, step in steps.items() if 'num_frames' in step][-1:]
            options = [
                f'; for equal ones: --cfg-options dataset.pipeline.{name}.num_frames={pretrained}' for name in deciding
            ]
            print_log(
                f'{self.checkpoint} was trained on clips of {pretrained} frames and is evaluated on clips of '
                f'{evaluated}{"".join(options)}',
                'current',
                logging.WARNING,
            )
        return {'pretrained': pretrained, 'evaluated': evaluated}

    def _check_replaced(self, out: Path) -> None:
        """Refuse a file that is the record of another evaluation."""
        try:
            there = records.read(out)
        except RecordError:  # no record, which may be replaced
            return
        facts, weights = config_facts(self.cfg), self.checkpoint and sha256(self.checkpoint)
        ours = {**facts, 'checkpoint_sha256': weights, 'seed': self.seed, 'protocols': self._used()}
        ours = json.loads(json.dumps({key: ours[key] for key in IDENTITY}))  # tuples become lists, as in the record
        other = [key for key in IDENTITY if ours[key] != getattr(there, key)]
        other += ['sources'] if [*self.plan] != [*there.sources] else []
        other += ['baselines'] if self.baselines != bool(there.baselines) else []
        if other:
            raise ConfigError(
                f'{out} is the record of another evaluation ({", ".join(other)} differ); it is not replaced: choose '
                f'another name with --out, or leave --out away for a separate one'
            )

    def _target(self, name: str, out: Path) -> EvalTarget:
        return EvalTarget(name, self.cfg, self.checkpoint, self.seed, out.parent)

    def _build(self, name: str) -> Any:
        return build_protocol(self.settings[name], seed=self.seed)

    def _used(self) -> dict[str, dict[str, Any]]:
        """The settings of the protocols in the plan."""
        return {name: self.settings[name] for name in dict.fromkeys(n for names in self.plan.values() for n in names)}

    def _training_cost(self) -> dict[str, Any]:
        """Of a training step on these clips; unknown where the classifier was left out, see ``retarget``."""
        if self.cfg.model.get('head', ...) is None:
            return {'parameters': None, 'gmacs': None}
        return training_cost(self._fresh(), sample_batch(self.train))

    def _fresh(self) -> nn.Module:
        """A new network on the device."""
        return load_model(self.cfg).to(self.device)

    def _network(self, source: str) -> nn.Module | None:
        """The network that makes the features; None for the coordinates."""
        if source == RAW:
            return None
        if self.checkpoint is None:
            return untrained(self._fresh, self.train, self.seed, self.batch_size, source)
        return self.model

    def _features(self, model: nn.Module | None, part: Any, source: str) -> Features:
        return raw_features(part) if model is None else extract_features(model, part, self.batch_size, source)

    def _evaluate_baselines(self) -> dict[str, dict[str, float]]:
        """Row -> metrics of what a trained encoder has to beat, by the protocols that read features."""
        source = next((source for source in self.plan if source not in (LOGITS, RAW)), ENCODER)
        names = [
            name for name in self.protocols if not trains(self.settings[name]) and not reads_logits(self.settings[name])
        ]
        evaluators = {name: self._build(name) for name in names}
        if self.copies:
            evaluators |= {f'{name}{WITHOUT}': WithoutClips(self._build(name), self.copies) for name in names}
        seeds = range(self.seed, self.seed + 3)
        found = {
            'raw coordinates': evaluate_raw(evaluators, self.train, self.test),
            'untrained, 3 seeds': evaluate_untrained(
                evaluators, self._fresh, self.train, self.test, seeds, self.batch_size, source
            ),
        }
        rows: dict[str, dict[str, float]] = {}
        for row, metrics in found.items():
            for key, value in metrics.items():
                name, _, metric = key.rpartition('/')
                end = WITHOUT if name.endswith(WITHOUT) else ''
                rows.setdefault(row + end, {})[f'{name.removesuffix(WITHOUT)}/{metric}'] = value
        return rows


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
