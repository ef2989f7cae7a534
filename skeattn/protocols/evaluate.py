"""Evaluation of a network by protocols: the features of a source are extracted once, all results are in one record."""

import hashlib
import json
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.logging import print_log
from torch import nn

from skeattn.checkpoint import note_clip_length
from skeattn.datasets import open_sets
from skeattn.datasets.inspection import copied_names
from skeattn.datasets.labelled import labelled_clips_of
from skeattn.datasets.union import is_packed
from skeattn.engine.build import build_splits, load_model
from skeattn.engine.config import evaluates_in_autocast
from skeattn.errors import ConfigError, NoClipsError, RecordError
from skeattn.evaluation.baselines import evaluate_raw, evaluate_untrained, untrained
from skeattn.evaluation.complexity import encoder_cost, sample_batch, training_cost
from skeattn.evaluation.evaluator import Evaluator, flat_metrics, run_evaluator
from skeattn.evaluation.exclusion import WithoutClips, without_clips
from skeattn.evaluation.features import Features, extract_features, frozen, raw_features
from skeattn.evaluation.metrics import confusion, per_class
from skeattn.evaluation.result import ProtocolResult
from skeattn.files import sha256, write_atomic
from skeattn.hardware import default_device
from skeattn.models.readout import LOGITS, MEAN, split_source, with_readout
from skeattn.protocols.plan import ENCODER, check_labels, plan_sources, read_protocols, reads_logits, trains
from skeattn.protocols.scratch import scratch_folder
from skeattn.protocols.settings import build_protocol
from skeattn.protocols.target import EvalTarget
from skeattn.results import record as records
from skeattn.results.provenance import completion, config_facts, training_facts
from skeattn.results.record import ProtocolRecord, Record, SourceRecord, TrainingRecord
from skeattn.results.report import RAW_ROW, WITHOUT, of_readout, selection
from skeattn.results.score_file import ScoreFile

RAW, UNTRAINED = 'raw', 'untrained'
UNTRAINED_ROW = 'untrained, 3 seeds'
IDENTITY = ('config_sha256', 'manifest_sha256', 'checkpoint_sha256', 'seed', 'protocols')
"""Fields of a record that determine its numbers, beside its sources and baselines."""
SCORE_FACTS = ('name', 'data', 'manifest_sha256', 'split', 'checkpoint_sha256', 'seed')
"""Fields of a record that its score files repeat."""


class Evaluation:
    """The evaluation of a network on a data set by protocols.

    Args:
        cfg: resolved config of the network.
        checkpoint: its weights; None for the network before training.
        protocols: names or files, see :func:`~skeattn.protocols.settings.read_protocol`; by default KNN, the linear
            protocol and the other evaluators of the config. Logits are always evaluated by TopK.
        sources: features to evaluate, ``raw`` for the coordinates; by default those of the protocol's settings, the
            config and the method.
        seed: of all random draws, and the first seed of the untrained networks.
        baselines: also evaluate the coordinates and the untrained network.
        device: ``cpu`` or ``cuda``; by default the accelerator if there is one.
        readouts: of the sources that name none, see :mod:`skeattn.models.readout`; by default those of the protocol's
            settings, the config, or the mean.

    Attributes:
        plan: source with its readout -> names of the protocols that evaluate it.
        used: name -> settings of the protocols in the plan.
        copies: names of the test clips that equal a training clip.
        unlabelled: number of clips that are left out because they have no label.
        frames: of a clip, ``pretrained`` (None if unknown) and ``evaluated``; a difference is logged as a warning.

    Raises:
        ConfigError: an unknown protocol or a wrong setting, a protocol without a source, or a source that the method
            lacks.
        NoClipsError: no training or no test clip has a label.
        DataError: a class of test clips has no training clip.
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
        readouts: Sequence[str] = (),
    ) -> None:
        self.cfg, self.seed, self.baselines = cfg, seed, baselines
        self.checkpoint = None if checkpoint is None else Path(checkpoint)
        self.device = device or default_device()
        evaluation = cfg.get('evaluation') or {}
        self.batch_size, self.autocast = evaluation.get('batch_size', 256), evaluates_in_autocast(cfg)
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
        readout = evaluation.get('readout') or MEAN
        self.plan = plan_sources(self.protocols, self.settings, list(sources), list(offered), list(readouts), readout)
        self.used = {name: self.settings[name] for names in self.plan.values() for name in names}
        with frozen(self.model):
            for source in filter(_of_network, self.plan):  # a source that the method lacks fails before hours are spent
                self.model.features(self.train.__getitems__([0]), source=source)  # type: ignore[operator]

    @cached_property
    def facts(self) -> dict[str, Any]:
        """Fields of the record that are known before the evaluation."""
        return {
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
            'autocast': self.autocast,
            'seed': self.seed,
            'checkpoint': self.checkpoint and self.checkpoint.name,
            'checkpoint_sha256': self.checkpoint and sha256(self.checkpoint),
            'protocols': self.used,
        }

    @property
    def readouts(self) -> list[str]:
        """The readouts of the plan, in its order."""
        return list(dict.fromkeys(split_source(source)[1] for source in self.plan))

    @property
    def id(self) -> str:
        """Digest of everything that determines the numbers, except the code."""
        *digests, protocols = (self.facts[key] for key in IDENTITY)
        identity = [*digests, self.baselines, protocols, self.plan]
        return hashlib.sha256(json.dumps(identity, default=str).encode()).hexdigest()

    def run(self, out: str | os.PathLike[str], facts: Mapping[str, Any] | None = None) -> Record:
        """Run all protocols and write the record, with scores and pictures beside it; all processes call it.

        Files are written at the end, except by protocols that train: each keeps its files in a folder of its name
        beside the record, and continues with them in the next call.

        Args:
            out: the JSON record; the names of the other files begin with its stem.
            facts: further fields of the record, such as ``name`` and ``config``.

        Returns:
            the record; it is complete only on the first process.

        Raises:
            ConfigError: ``out`` is the record of a different evaluation, or a fact is not a field of a record.
            ConfigError, DataError: a protocol cannot train; nothing was written.
        """
        start, out = time.monotonic(), Path(out)
        self._check_replaced(out)
        for name, settings in self.used.items():
            if trains(settings):
                self._build(name).check(self._target(name, out))
        content = {'version': records.VERSION, **self.facts, 'sources': {}, **(facts or {})}
        record = Record.from_dict(content, 'facts')
        with scratch_folder(out) as scratch:
            if self.checkpoint:
                training = {**training_facts(self.checkpoint), **self._training_cost()}
                record = replace(record, training=TrainingRecord(**training))
            if self.baselines:
                record = replace(record, baselines=self._evaluate_baselines())
            sources = {source: self._evaluate(source, record, out, scratch) for source in self.plan}
            seconds = round(time.monotonic() - start, 1)
            record = replace(record, sources=sources, seconds=seconds, **completion())
            if is_main_process():
                for path in scratch.iterdir():
                    os.replace(path, out.parent / path.name)
                records.write(out, record)
        return record

    def _evaluate(self, source: str, record: Record, out: Path, scratch: Path) -> SourceRecord:
        """The results on a source; files are written into ``scratch``."""
        evaluators = [name for name in self.plan[source] if not trains(self.settings[name])]
        model = self._network(source) if evaluators else self.model
        features = [self._features(model, part, source) for part in (self.train, self.test)] if evaluators else []
        readout = split_source(source)[1]
        stream = source.rpartition('/')[0] or (self.cfg.get('stream', 'joint') if _of_network(source) else 'joint')
        cost = encoder_cost(model, sample_batch(self.train), source) if model else {'parameters': 0, 'gmacs': 0.0}
        results: dict[str, ProtocolResult] = {}
        without: dict[str, ProtocolResult] = {}
        protocols: dict[str, ProtocolRecord] = {}
        for name in self.plan[source]:
            start = time.monotonic()
            if name in evaluators:
                results[name] = run_evaluator(self._build(name), *features)
            else:
                results[name] = self._build(name).run(self._target(name, out))
            if self.copies and name in evaluators:
                without[name] = run_evaluator(WithoutClips(self._build(name), self.copies), *features)
            elif self.copies:
                without[name] = without_clips(results[name], self.copies)
            protocols[name] = ProtocolRecord(seconds=round(time.monotonic() - start, 3))
            if is_main_process():
                named = len(self.plan) > 1 or readout != MEAN
                stem = '.'.join([out.stem, *([source.replace('/', '-')] if named else []), name])
                facts = {key: getattr(record, key) for key in SCORE_FACTS}
                facts |= {
                    'stream': stream,
                    'source': source,
                    'readout': readout,
                    'protocol': name,
                    'settings': self.settings[name],
                    **({'copies': sorted(self.copies)} if self.copies else {}),
                    **cost,
                }
                fields = self._write(results[name], scratch / stem, facts)
                protocols[name] = replace(protocols[name], **fields)
        streams = [stream] if isinstance(stream, str) else list(stream)
        return SourceRecord(
            streams=streams,
            readout=readout,
            metrics=flat_metrics(results),
            metrics_without_copies=flat_metrics(without),
            protocols=protocols,
            **cost,
        )

    def _write(self, result: ProtocolResult, stem: Path, score_facts: dict[str, Any]) -> dict[str, Any]:
        """Write scores, arrays and pictures under ``stem``; returns the fields of the result's record."""
        facts = dict(result.facts)
        chosen = facts.pop('selection', {})
        return {
            'selection': {
                metric: text for metric in result.metrics if (text := chosen.get(metric) or selection(metric))
            },
            'notes': result.notes,
            'curves': result.curves,
            **{key: facts.pop(key) for key in ('scores_of', 'labelled', 'device') if key in facts},
            'files': self._write_arrays(result, stem),
            **self._write_scores(result, stem.with_name(f'{stem.name}.npz'), score_facts),
            'facts': facts,
        }

    def _write_scores(self, result: ProtocolResult, path: Path, facts: dict[str, Any]) -> dict[str, Any]:
        """Write the class scores if there are any; returns the fields of the record that they determine."""
        if result.test is None:
            return {}
        classes = list(self.test.classes)
        ScoreFile(result.test, result.heldout, classes, facts).write(path)
        return {
            'per_class': per_class(result.test, classes),
            'confusion': confusion(result.test, classes),
            'scores': path.name,
            'scores_sha256': sha256(path),
        }

    def _write_arrays(self, result: ProtocolResult, stem: Path) -> dict[str, str]:
        """Write the arrays of a result, and a map of its points; kind -> file name."""
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
        if split is None or not is_packed(data):
            return frozenset()
        return copied_names(open_sets(data), split) & frozenset(map(str, self.test.names))

    def _compare_frames(self) -> dict[str, int | None]:
        evaluated = int(sample_batch(self.train, 1)['inputs'].shape[2])
        pretrained = (getattr(self.model, 'trained_on', None) or {}).get('num_frames')
        text = note_clip_length(self.model, evaluated)
        if text:
            print_log(text, 'current', logging.WARNING)
        return {'pretrained': pretrained, 'evaluated': evaluated}

    def _check_replaced(self, out: Path) -> None:
        """Refuse a file that is the record of a different evaluation."""
        try:
            existing = records.read(out)
        except RecordError:  # not a record; it may be replaced
            return
        ours = json.loads(json.dumps({key: self.facts[key] for key in IDENTITY}))  # tuples become lists, as in records
        differing = [key for key in IDENTITY if ours[key] != getattr(existing, key)]
        differing += ['sources'] if [*self.plan] != [*existing.sources] else []
        differing += ['baselines'] if self.baselines != bool(existing.baselines) else []
        if differing:
            raise ConfigError(
                f'{out} is the record of a different evaluation ({", ".join(differing)} differ) and is not replaced; '
                f'choose a different --out, or omit --out for a separate file'
            )

    def _target(self, name: str, out: Path) -> EvalTarget:
        return EvalTarget(name, self.cfg, self.checkpoint, self.seed, out.parent)

    def _build(self, name: str) -> Any:
        return build_protocol(self.settings[name], seed=self.seed, device=str(self.device))

    def _training_cost(self) -> dict[str, Any]:
        """Cost of a training step on these clips; unknown without a classifier, see ``retarget``."""
        if self.cfg.model.get('head', ...) is None:
            return {'parameters': None, 'gmacs': None}
        return training_cost(self._fresh(), sample_batch(self.train))

    def _fresh(self) -> nn.Module:
        """A new network on the device."""
        return load_model(self.cfg).to(self.device)

    def _network(self, source: str) -> nn.Module | None:
        """The network of the features; None for the coordinates."""
        if not _of_network(source):
            return None
        if self.checkpoint is None:
            return untrained(self._fresh, self.train, self.seed, self.batch_size, source)
        return self.model

    def _features(self, model: nn.Module | None, part: Any, source: str) -> Features:
        if model is None:
            return raw_features(part, split_source(source)[1])
        return extract_features(model, part, self.batch_size, source, autocast=self.autocast)

    def _evaluate_baselines(self) -> dict[str, dict[str, float]]:
        """Row -> metrics of a baseline, by the protocols that read features; the network's rows for each readout."""
        results: dict[str, dict[str, float]] = {RAW_ROW: evaluate_raw(self._evaluators(), self.train, self.test)}
        seeds = range(self.seed, self.seed + 3)
        for readout in self.readouts:
            evaluators = self._evaluators(readout)
            sources = [source for source in self.plan if _of_network(source) and source != LOGITS]
            source = next((one for one in sources if split_source(one)[1] == readout), with_readout(ENCODER, readout))
            if readout != MEAN:
                raw = evaluate_raw(evaluators, self.train, self.test, readout)
                results[of_readout(RAW_ROW, readout)] = raw
            if evaluators:
                results[of_readout(UNTRAINED_ROW, readout)] = evaluate_untrained(
                    evaluators, self._fresh, self.train, self.test, seeds, self.batch_size, source, self.autocast
                )
        rows: dict[str, dict[str, float]] = {}
        for row, metrics in results.items():
            for key, value in metrics.items():
                name, _, metric = key.rpartition('/')
                end = WITHOUT if name.endswith(WITHOUT) else ''
                rows.setdefault(row + end, {})[f'{name.removesuffix(WITHOUT)}/{metric}'] = value
        return rows

    def _evaluators(self, readout: str | None = None) -> dict[str, Evaluator]:
        """The requested evaluators of features, by default with any readout, also without the copies."""
        readers = {
            name for source, names in self.plan.items() if readout in (None, split_source(source)[1]) for name in names
        }
        evaluators: dict[str, Evaluator] = {
            name: self._build(name)
            for name in self.protocols
            if name in readers and not trains(self.settings[name]) and not reads_logits(self.settings[name])
        }
        if self.copies:
            evaluators |= {f'{name}{WITHOUT}': WithoutClips(self._build(name), self.copies) for name in [*evaluators]}
        return evaluators


def _of_network(source: str) -> bool:
    return split_source(source)[0] != RAW
