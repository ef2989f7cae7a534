"""Fine-tuning: encoder and classifier trained together, on all labels of a training split or on few of them."""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dist import barrier, get_world_size, is_distributed, is_main_process
from mmengine.logging import print_log
from torch import Tensor

from skeattn.channels import AXES
from skeattn.checkpoint import check_origin, find_newest, load_weights, read_checkpoint, write_checkpoint
from skeattn.datasets import PackedSet, held_out_subjects, open_sets
from skeattn.datasets.splits import of_part
from skeattn.datasets.subsets import HELD_OUT, REST, labelled_clips
from skeattn.datasets.transforms import Pipeline
from skeattn.datasets.union import check_one_layout, digest_of, folders_of
from skeattn.engine.config import OrderedConfig, resolve_config
from skeattn.engine.hooks.steps import CURVES
from skeattn.engine.places import looked_up
from skeattn.engine.runner import SkeAttnRunner
from skeattn.engine.speed import set_precision
from skeattn.errors import CheckpointError, ConfigError, did_you_mean
from skeattn.evaluation.features import extract_features
from skeattn.evaluation.metrics import accuracy
from skeattn.evaluation.result import ProtocolResult, Scores
from skeattn.files import sha256
from skeattn.hardware import default_device
from skeattn.models.joint_names import are_several
from skeattn.protocols.target import EvalTarget, TrainingProtocol
from skeattn.registry import BACKBONES, DATASETS, EVALUATORS, HEADS, MODELS
from skeattn.signatures import arguments_of

START = 'start.pth'
BATCH_SIZE = 256
"""Clips per forward pass of an evaluation."""
# Keys that a training takes from the config of the checkpoint, beside model and data set.
KEPT = ('default_scope', 'custom_imports', 'layout', 'channels', 'env_cfg', 'log_processor', 'log_level', 'visualizer')
HOOKS = {
    'randomness': {'type': 'RandomnessHook'},
    'non_finite': {'type': 'NonFiniteHook'},
    'param_scheduler': {'type': 'LossScheduleHook'},
    'bn_statistics': {'type': 'AverageBNStatsHook'},
    'checkpoint': {'type': 'SafeCheckpointHook'},
}


@EVALUATORS.register_module()
class Finetune(TrainingProtocol):
    """A classifier on the encoder of a checkpoint, both trained on the labels.

    Metrics in percent: ``top1`` after the last epoch; ``top1_best``, the best epoch **on the test clips**, as the
    papers print; ``top1_heldout``, the test accuracy at the best epoch of a second training, without some of the
    training subjects and evaluated on the labelled clips of these; ``top5`` after the last epoch with more than five
    classes. Only evaluated epochs are compared, one in every ``interval`` epochs.

    The protocols ``finetune``, ``semi01`` and ``semi10`` have the settings of the paper: SGD with lr 0.05 and momentum
    0.9, no weight decay, lr x 0.1 when the training loss has not fallen for 10 epochs; 150 epochs, batch 128 and no
    augmentation are as released. The protocols ``*_released`` train in eval mode with the released learning rates.
    These differ by set, split and stream; the protocols have those of NTU-60, joint stream, cross-subject. The
    protocols ``*_mamp`` have the settings of MAMP (Mao et al., ICCV 2023), for a SkeletonTransformer.

    Args:
        optim_wrapper, param_scheduler, train_cfg: of the training, as at the top level of a config.
        batch_size: clips per step over all processes; all clips if there are fewer.
        labels: share of the training clips of every class whose labels are used.
        labels_seed: of their choice, see :mod:`skeattn.datasets.subsets`.
        mode: ``'train'`` or ``'eval'``, see :class:`~skeattn.models.Recognizer`.
        head: config of the classifier.
        label_smoothing: see :class:`~skeattn.models.Recognizer`.
        backbone_changes: settings of the backbone that differ from those of the checkpoint's config.
        views: of the SkeletonPreprocessor; by default ``query`` is the clip itself.
        stream: of the encoder, if a checkpoint has several (CrosSCLR).
        interval: epochs between two evaluations of the test clips; the last epoch is always evaluated.
        heldout: share of the training subjects that are held out; 0 omits the second training.

    Raises:
        ConfigError: ``heldout`` is outside [0, 1), or ``batch_size`` or ``max_epochs`` is below 1.
    """

    def __init__(
        self,
        optim_wrapper: dict[str, Any],
        train_cfg: dict[str, Any],
        param_scheduler: dict[str, Any] | list[dict[str, Any]] | None = None,
        batch_size: int = 128,
        labels: float = 1.0,
        labels_seed: int = 0,
        mode: str = 'train',
        head: dict[str, Any] | None = None,
        label_smoothing: float = 0.0,
        backbone_changes: dict[str, Any] | None = None,
        views: dict[str, Any] | None = None,
        stream: str | None = None,
        interval: int = 5,
        heldout: float = 0.2,
    ) -> None:
        epochs = train_cfg.get('max_epochs', 0)
        if not 0 <= heldout < 1 or epochs < 1 or batch_size < 1:
            raise ConfigError(
                f'Finetune: heldout={heldout!r}, train_cfg.max_epochs={epochs!r}, batch_size={batch_size!r}; heldout '
                f'must lie in [0, 1), the others must be at least 1'
            )
        self.optim_wrapper = optim_wrapper
        self.training = {'param_scheduler': param_scheduler, 'train_cfg': train_cfg}
        self.batch_size, self.labels, self.labels_seed = batch_size, labels, labels_seed
        self.mode, self.views, self.stream = mode, views or {'query': {}}, stream
        self.head, self.backbone_changes = head or {'type': 'LinearHead'}, backbone_changes or {}
        # Absent if it is 0: the folders of earlier trainings are named by their config.
        self.smoothing = {'label_smoothing': label_smoothing} if label_smoothing else {}
        self.interval, self.heldout = interval, heldout

    def run(self, target: EvalTarget) -> ProtocolResult:
        """Train and test; in a distributed run all processes call it.

        A finished training in ``target.work_dir`` is not repeated, an interrupted one is continued.

        Raises:
            ConfigError: a setting is wrong, or ``stream`` is missing for a config with several.
            CheckpointError: the checkpoint has no fitting encoder.
            DataError: a class has no labelled clips.
        """
        dataset = {key: value for key, value in target.cfg.dataset.items() if key not in ('part', 'subset')}
        packed, labelled = open_sets(dataset['data']), self._subset(target)
        self.check(target)
        clips = self._labelled(target)
        test, curves = self._train('all', target, packed, {**dataset, 'subset': labelled}, of_part(dataset, 'test'))
        result = ProtocolResult({'top1': accuracy(test.scores, test.labels), 'top1_best': max(curves['top1'])}, test)
        result.curves = curves
        names = '\n'.join(map(str, packed.table['name'][clips]))
        result.facts = {
            'scores_of': 'last epoch',
            'labelled': {'clips': len(clips), 'sha256': hashlib.sha256(names.encode()).hexdigest()},
            'device': default_device(),
        }
        if test.scores.shape[1] > 5:
            result.metrics['top5'] = accuracy(test.scores, test.labels, 5)
        reason = self._no_heldout(packed, clips) if self.heldout else None
        if reason:
            result.notes['top1_heldout'] = reason
            print_log(f'{target.name}: no top1_heldout: {reason}', 'current', logging.WARNING)
        elif self.heldout:
            subset = {**(labelled or {}), 'heldout': self.heldout}
            parts = tuple({**dataset, 'subset': {**subset, 'part': part}} for part in (REST, HELD_OUT))
            result.heldout, rest_curves = self._train(REST, target, packed, *parts)
            best = rest_curves['top1'].index(max(rest_curves['top1']))
            result.metrics['top1_heldout'] = curves['top1'][best]
            result.curves |= {f'heldout_{name}': rest_curves[name] for name in ('loss', 'top1')}
        return result

    def check(self, target: EvalTarget) -> None:
        """Refuse a target that cannot be trained, before anything is written for it.

        Raises:
            ConfigError, DataError: as :meth:`run`.
        """
        self._stream(target)
        self._labelled(target)
        backbone = BACKBONES.get(str(target.cfg.model.backbone['type']))
        taken, any_other = arguments_of(backbone) if backbone else ((), True)
        for key in () if any_other else sorted(self.backbone_changes.keys() - taken):
            raise ConfigError(
                f'protocols.{target.name}.backbone_changes: {backbone.__name__} takes no {key!r}; '
                f'{did_you_mean(key, taken)}. This protocol may be meant for a different backbone'
            )

    def config(
        self, target: EvalTarget, packed: PackedSet, dataset: Mapping[str, Any], watched: Mapping[str, Any]
    ) -> OrderedConfig:
        """The config of a training.

        Args:
            target: network whose encoder is trained further.
            packed: the data set.
            dataset: config of the training clips, as at the top level of a config.
            watched: config of the clips that are evaluated during training.
        """
        cfg, model = target.cfg, target.cfg.model
        clips = len(labelled_clips(packed, dataset['split'], dataset['subset']))
        batch_size = min(self.batch_size, clips) // get_world_size() * get_world_size()
        if not batch_size:
            raise ConfigError(f'{clips} clips are too few for {get_world_size()} processes; start fewer processes')
        if batch_size < self.batch_size:
            print_log(f'{target.name}: {clips} training clips, batch_size={batch_size}', 'current')
        preprocessor = {**model.data_preprocessor, 'stream': self._stream(target), 'views': self.views}
        training = {
            **{key: cfg[key] for key in KEPT if key in cfg},
            'seed': target.seed,
            'stream': self._stream(target),
            'num_classes': len(packed.classes),
            'batch_size': batch_size,
            'dataset': dict(dataset),
            'model': {
                'type': 'Recognizer',
                'data_preprocessor': preprocessor,
                'backbone': {**model.backbone, **self.backbone_changes},
                'head': self._head(target, packed, dataset),
                **self.smoothing,
                'persons': model.get('persons', 'all'),
                'pool': model.get('pool', 'mean'),
                'mode': self.mode,
                'init_cfg': model.get('init_cfg'),
            },
            'optim_wrapper': set_precision(self.optim_wrapper, cfg.get('amp')),
            **{key: value for key, value in self.training.items() if value is not None},
            'default_hooks': {
                **HOOKS,
                'accuracy': {
                    'type': 'AccuracyHook',
                    'dataset': dict(watched),
                    'interval': self.interval,
                    'batch_size': BATCH_SIZE,
                },
            },
        }
        plain = Config(training).to_dict()
        return OrderedConfig(plain, cfg_text=' ', filename=f'{target.name}.py')

    def _head(self, target: EvalTarget, packed: PackedSet, dataset: Mapping[str, Any]) -> dict[str, Any]:
        """The config of the classifier; the joints of an encoder that reads several layouts are those of the data."""
        kind = looked_up(self.head.get('type'), HEADS)
        if not are_several(target.cfg.get('layout')) or kind is None or 'num_joints' not in arguments_of(kind)[0]:
            return self.head
        check_one_layout(packed)
        layout = Pipeline(dataset.get('pipeline') or {}).layout_after(packed.layout)
        return {**self.head, 'num_joints': layout.num_joints}

    def _train(
        self,
        part: str,
        target: EvalTarget,
        packed: PackedSet,
        dataset: Mapping[str, Any],
        watched: Mapping[str, Any],
    ) -> tuple[Scores, dict[str, list[float]]]:
        """Scores of the watched clips after the last epoch, and the training's curves."""
        cfg = self.config(target, packed, dataset, watched)
        folder = target.work_dir / target.name / f'{part}_{identity(cfg, packed, target.checkpoint)[:8]}'
        cfg.work_dir, cfg.launcher = str(folder), 'pytorch' if is_distributed() else 'none'
        newest = find_newest(folder)
        if newest is None or read_checkpoint(newest)['meta']['epoch'] < cfg.train_cfg.max_epochs:
            cfg.resume = newest is not None
            if newest is None and target.checkpoint is not None:
                cfg.load_from = str(folder / START)
                weights = encoder_weights(target.checkpoint, target.cfg, cfg.stream)
                if is_main_process():
                    folder.mkdir(parents=True, exist_ok=True)
                    write_checkpoint(cfg.load_from, {'state_dict': weights})
                barrier()
            SkeAttnRunner.from_cfg(cfg).train()
            barrier()
        return self._read(cfg, folder, watched)

    def _read(self, cfg: Config, folder: Path, watched: Mapping[str, Any]) -> tuple[Scores, dict[str, list[float]]]:
        """The result of a finished training."""
        path = find_newest(folder)
        checkpoint = read_checkpoint(str(path))
        model = MODELS.build(resolve_config(cfg, get_world_size()).model)
        load_weights(model, checkpoint['state_dict'], str(path), min_match=1)
        test = extract_features(model.to(default_device()), DATASETS.build(dict(watched)), BATCH_SIZE, 'logits')
        return Scores(test.x, test.labels, test.names), checkpoint['message_hub']['runtime_info'][CURVES]

    def _labelled(self, target: EvalTarget) -> np.ndarray:
        """Indices of the labelled clips."""
        dataset = target.cfg.dataset
        return labelled_clips(open_sets(dataset.data), dataset.split, self._subset(target))

    def _subset(self, target: EvalTarget) -> Mapping[str, Any] | None:
        """``dataset.subset`` of the labelled clips."""
        if self.labels != 1:
            return {'fraction': self.labels, 'seed': self.labels_seed}
        subset: Mapping[str, Any] | None = target.cfg.dataset.get('subset')
        packed = open_sets(target.cfg.dataset.data)
        unlabelled = subset is None and (packed.table['label'] < 0).any()
        return {'fraction': 1.0} if unlabelled else subset  # a subset leaves out clips without a label

    def _stream(self, target: EvalTarget) -> str:
        """The stream whose encoder is trained."""
        stream, key = target.cfg.stream, f'protocols.{target.name}.stream'
        streams = [stream] if isinstance(stream, str) else list(stream)
        if len(streams) > 1 and self.stream is None:
            raise ConfigError(f'fine-tuning takes one encoder of stream={streams}; choose it, {key}={streams[0]}')
        if self.stream not in (None, *streams):
            raise ConfigError(f'{key}={self.stream!r} is not in stream={streams} of the config; choose one of these')
        return self.stream or streams[0]

    def _no_heldout(self, packed: PackedSet, clips: np.ndarray) -> str | None:
        """Reason why no subjects can be held out of the labelled clips; None if they can."""
        subjects, labels = packed.table['subject'][clips], packed.table['label'][clips]
        if (subjects < 0).any() or len(np.unique(subjects)) < 2:
            return 'the subjects of the labelled clips are unknown or only one'
        heldout = held_out_subjects(subjects, self.heldout)
        absent = sorted(set(labels.tolist()) - set(labels[~heldout].tolist()))
        if absent:
            return f'without the held-out subjects no labelled clip of class {packed.classes[absent[0]]!r} is left'
        return None


def encoder_weights(checkpoint: Path, cfg: Config, stream: str) -> dict[str, Tensor]:
    """The backbone's tensors of a checkpoint, under the names of a Recognizer.

    Args:
        checkpoint: of a self-supervised method (its query encoder), of CrosSCLR (that of ``stream``), or of a
            Recognizer.
        cfg: the config of its training.
        stream: of the encoder.

    Raises:
        CheckpointError: it has no such encoder, or was trained on a different stream, layout or channels.
    """
    content = read_checkpoint(checkpoint)
    now = {'stream': cfg.stream, 'layout': cfg.get('layout'), 'channels': list(cfg.get('channels') or AXES)}
    check_origin(checkpoint, content['meta'], now)
    state = {name.removeprefix('module.'): value for name, value in content['state_dict'].items()}
    for place in (f'members.{stream}.encoder_q', 'encoder_q', 'encoder'):
        prefix = f'{place}.backbone.'
        weights = {name.removeprefix(f'{place}.'): value for name, value in state.items() if name.startswith(prefix)}
        if weights:
            return {f'encoder.{name}': value for name, value in weights.items()}
    raise CheckpointError(
        f'{checkpoint} has no encoder of the {stream} stream (no weights encoder_q.backbone.…); give a checkpoint of a '
        f'method or a Recognizer'
    )


def identity(cfg: OrderedConfig, packed: PackedSet, checkpoint: Path | None) -> str:
    """Digest of everything that determines the numbers of a training; it identifies the data set by its content."""
    clips = labelled_clips(packed, cfg.dataset.split, cfg.dataset.subset)
    text = cfg.pretty_text
    for folder in folders_of(cfg.dataset.data):
        text = text.replace(str(folder), digest_of(folder))
    parts = [text, checkpoint and sha256(checkpoint)]
    return hashlib.sha256('\n'.join(map(str, [*parts, *packed.table['name'][clips]])).encode()).hexdigest()
