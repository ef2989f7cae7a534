"""A trained encoder: features, classes, neighbours and attention of clips, without a config or a Runner."""

import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
import torch

from skeattn.apis import few_shot
from skeattn.apis.clips import Clips, ClipSet, Layout, Preparation, own_layout
from skeattn.apis.few_shot import FewShotClassifier
from skeattn.apis.predictions import Predictions
from skeattn.apis.retrieval import Bank, Neighbour, Origin
from skeattn.engine.build import load_model
from skeattn.engine.config import read_config, resolve_config
from skeattn.engine.places import lookup
from skeattn.errors import CheckpointError, ConfigError, DataError
from skeattn.evaluation.evaluator import working_device
from skeattn.evaluation.features import Features, extract_features
from skeattn.evaluation.few_shot import ACCEPT
from skeattn.evaluation.salient_mask import check_mask, salient_mask
from skeattn.evaluation.trained_probe import TrainedProbe
from skeattn.models.encoder import present_persons
from skeattn.models.readout import LOGITS, with_readout
from skeattn.published import WEIGHTS, locate, no_such
from skeattn.skeletons import SkeletonLayout

FEW_LABELS = 'joints'
"""The readout from which few labels are learnt best: joint by joint."""
_OF_ENCODER = re.compile(r'^(?!.*encoder_k\.).*encoder(_q)?\.(backbone|projector)\.')


def load_encoder(
    checkpoint: str | os.PathLike[str],
    device: str | None = None,
    config: str | os.PathLike[str] | None = None,
    layout: Layout | None = None,
    zoo: str | os.PathLike[str] | None = None,
) -> 'TrainedEncoder':
    """The encoder of a checkpoint, or a published one by its name or address.

    >>> encoder = load_encoder('work_dirs/skeattnclr/stgcn_demo', device='cpu')
    >>> encoder
    TrainedEncoder(SkeAttnCLR, layout 'ntu25', channels x, y, z, stream joint, 16 frames,
            work_dirs/skeattnclr/stgcn_demo/epoch_1.pth)

    Its config, and with it layout, channels, stream and pipeline, come from the checkpoint, which is read without
    executing anything.

    Args:
        checkpoint: a file written by a training, or its work_dir for the newest one; a published file, its folder, its
            name in the zoo, or its address, see :func:`~skeattn.published.locate`.
        device: such as ``'cpu'`` or ``'cuda:1'``; by default the accelerator if there is one.
        config: config file, for a checkpoint that does not hold its own.
        layout: of clips that determine none, the default of all methods; by itself that of the encoder. An encoder that
            knows joints by name has none of its own.
        zoo: folder of published encoders (``$SKEATTN_ZOO``, or ``zoo`` in the current folder).

    Raises:
        CheckpointError: the file is missing, damaged, not that of its digest, or does not fit its config, or it
            holds no config and none is given.
        ConfigError: the path is that of a config, the config is wrong, or there is no such device.
    """
    path = locate(checkpoint, zoo)
    if path.suffix == '.py':
        raise ConfigError(f'{path} is a config; give a checkpoint or the work_dir of a training (config={path!s})')
    if not path.exists():
        raise CheckpointError(no_such(checkpoint, zoo))
    if path.is_file() and path.suffix not in WEIGHTS:
        raise CheckpointError(f'{path} is no checkpoint: its name should end with {" or ".join(WEIGHTS)}')
    model = load_model(path) if config is None else load_model(config, path)
    facts: dict[str, Any] = getattr(model, 'trained_on', {})
    pipeline = facts.get('pipeline')
    if config is not None:
        pipeline = lookup(resolve_config(read_config(config)), 'dataset.pipeline')
    if not pipeline:
        raise CheckpointError(f'{path} does not hold the pipeline of its training; pass config=..., its config file')
    probe = facts.get('probe') and TrainedProbe.stored(facts['probe'], str(path))
    return TrainedEncoder(model, pipeline, facts.get('classes'), device, layout, probe)


class TrainedEncoder:
    """A trained network, frozen; made by :func:`load_encoder`.

    Args:
        model: in any mode; its mode is restored after each use.
        pipeline: the steps that prepare a clip, as in its training.
        classes: names of the classes of its training, for a model with a classifier.
        device, layout: see :func:`load_encoder`.
        probe: a trained probe of its features, by which an encoder without a classifier classifies.

    Attributes:
        model: the network.
        checkpoint: path of its file; ``'an untrained network'`` without one.
        layout: :class:`~skeattn.skeletons.SkeletonLayout` of the clips that it reads.
        channels: names of the values of a joint.
        stream: ``'joint'``, ``'motion'``, ``'bone'``, or a tuple of several.
        probe: the published probe; None without one.

    Raises:
        ConfigError: no such device.
    """

    def __init__(
        self,
        model: Any,
        pipeline: Mapping[str, Mapping[str, Any] | None],
        classes: Sequence[str] | None = None,
        device: str | None = None,
        layout: Layout | None = None,
        probe: TrainedProbe | None = None,
    ) -> None:
        facts: dict[str, Any] = getattr(model, 'trained_on', None) or {}
        preprocessor = model.data_preprocessor
        self.checkpoint = str(facts.get('checkpoint', 'an untrained network'))
        self.layout: SkeletonLayout = own_layout(preprocessor, layout)
        self.channels: tuple[str, ...] = preprocessor.channels
        self.stream: str | tuple[str, ...] = preprocessor.stream
        self.pipeline = {name: step for name, step in pipeline.items() if step is not None}
        self.probe = probe
        self._classes = None if classes is None else tuple(classes)
        self._prepare = Preparation(self.layout, self.channels, pipeline, layout)
        try:
            self.model = model.to(working_device(device)).eval()
        except (RuntimeError, AssertionError) as error:
            first = str(error).splitlines()[0]
            raise ConfigError(f'device={device!r} cannot be used ({first}); choose "cpu" or leave it out') from error

    def __repr__(self) -> str:
        stream = self.stream if isinstance(self.stream, str) else '+'.join(self.stream)
        frames = [step['num_frames'] for step in self.pipeline.values() if 'num_frames' in step][-1:]
        length = f', {frames[0]} frames' if frames else ''
        return (
            f'TrainedEncoder({type(self.model).__name__}, layout {self.layout.name!r}, '
            f'channels {", ".join(self.channels)}, stream {stream}{length}, {self.checkpoint})'
        )

    @cached_property
    def identity(self) -> str:
        """Digest of the encoder's weights and the pipeline: features of equal identity can be compared."""
        digest = hashlib.sha256(json.dumps(self.pipeline, default=str).encode())
        for name, value in sorted(self.model.state_dict().items()):
            if _OF_ENCODER.search(name):
                digest.update(name.encode())
                digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()[:16]

    def embed(
        self,
        clips: Clips,
        *,
        readout: str | None = None,
        source: str = 'backbone',
        layout: Layout | None = None,
        channels: Sequence[str] | None = None,
        batch_size: int = 256,
    ) -> np.ndarray:
        """Features of clips.

        >>> encoder.embed(clips).shape, encoder.embed('data/demo', readout='joints').shape
        ((8, 8), (36, 200))

        Args:
            clips: arrays ``(T, V, C)`` or ``(M, T, V, C)``, files, a packed set, or a list of these; see
                :class:`~skeattn.apis.clips.Preparation` for all forms.
            readout: ``'mean'`` (the default), ``'joints'`` or ``'joints+segments'`` of the backbone's map, see
                :mod:`skeattn.models.readout`.
            source: ``'backbone'``, ``'projector'``, ``'predictor'``, ``'logits'``; of several streams one by
                ``'joint/backbone'``.
            layout: of the clips where they do not determine it; a different one than the encoder's is converted by the
                names of the joints.
            channels: names of a joint's values, likewise.
            batch_size: clips per forward pass.

        Returns:
            ``(N, D)`` float32, not normalised.

        Raises:
            DataError: a clip is unusable; names it and what to do.
            ConfigError: an unknown readout, source or layout, or a layout that lacks joints of the encoder's.
            NonFiniteError: a feature is NaN or infinite.
        """
        return self.features(
            clips, readout=readout, source=source, layout=layout, channels=channels, batch_size=batch_size
        ).x.numpy()

    def features(
        self,
        clips: Clips,
        *,
        readout: str | None = None,
        source: str = 'backbone',
        layout: Layout | None = None,
        channels: Sequence[str] | None = None,
        batch_size: int = 256,
    ) -> Features:
        """:meth:`embed` with names, labels and subjects of the clips, as evaluators read them."""
        return self._extract(self._prepare(clips, layout, channels), readout, source, batch_size)

    def _extract(self, clips: ClipSet, readout: str | None, source: str, batch_size: int = 256) -> Features:
        if isinstance(batch_size, bool) or not isinstance(batch_size, Integral) or batch_size < 1:
            raise ConfigError(f'batch_size={batch_size!r} is a number of clips, at least 1')
        return extract_features(self.model, clips, int(batch_size), source, readout)

    def classify(
        self,
        clips: Clips,
        *,
        layout: Layout | None = None,
        channels: Sequence[str] | None = None,
        batch_size: int = 256,
    ) -> Predictions:
        """Classes and probabilities by the classifier of a trained or fine-tuned checkpoint, or by a published probe.

        >>> recognizer.classify(clips[:2]).classes
        ('class0', 'class1', 'class2')

        Args:
            clips, layout, channels, batch_size: see :meth:`embed`.

        Raises:
            ConfigError: the checkpoint has no classifier and no probe.
            DataError: as :meth:`embed`.
        """
        classifies = LOGITS in self.model.feature_sources()
        if not classifies and self.probe is not None:
            read = self.features(
                clips, source=self.probe.source, layout=layout, channels=channels, batch_size=batch_size
            )
            return Predictions(tuple(read.names), self.probe.classes, self.probe.probabilities(read.x).numpy())
        if not classifies:
            raise ConfigError(
                f'{self.checkpoint} has no classifier: {type(self.model).__name__} learns without labels. Fit one on a '
                f'few labelled clips, encoder.fit_few_shot(clips, labels), or fine-tune the encoder: '
                f'skeattn test CONFIG CHECKPOINT --protocol finetune'
            )
        logits = self.features(clips, source=LOGITS, layout=layout, channels=channels, batch_size=batch_size)
        K = logits.x.shape[1]
        names = self._classes if self._classes and len(self._classes) == K else [f'class {i}' for i in range(K)]
        return Predictions(tuple(logits.names), tuple(names), logits.x.double().softmax(dim=1).numpy())

    def bank(
        self,
        clips: Clips,
        labels: Sequence[Any] | None = None,
        *,
        readout: str | None = None,
        source: str = 'backbone',
        layout: Layout | None = None,
        channels: Sequence[str] | None = None,
        batch_size: int = 256,
    ) -> Bank:
        """Features of clips among which :meth:`retrieve` searches, extracted once.

        Args:
            clips, readout, source, layout, channels, batch_size: see :meth:`embed`.
            labels: a name or number for each clip, None without one; by default those of the source, if it has any.

        Raises:
            DataError: a clip is unusable, or there are not as many labels as clips.
            ConfigError: as :meth:`embed`.
        """
        prepared = self._prepare(clips, layout, channels)
        if labels is not None:
            prepared.relabel(labels)
        features = self._extract(prepared, readout, source, batch_size)
        return Bank(features, prepared.classes, self._origin(source, readout))

    def retrieve(
        self,
        query: Clips,
        bank: Bank | Clips,
        k: int = 5,
        *,
        layout: Layout | None = None,
        channels: Sequence[str] | None = None,
    ) -> list[list[Neighbour]]:
        """For each query the k nearest clips of a bank by cosine similarity, the nearest first.

        >>> bank = encoder.bank('data/demo')
        >>> nearest = encoder.retrieve(clips[:2], bank, k=3)
        >>> len(nearest), len(nearest[0]), nearest[0][0]._fields
        (2, 3, ('name', 'label', 'similarity', 'place'))

        Args:
            query: one clip or several, as in :meth:`embed`.
            bank: of :meth:`bank`, or clips, which are embedded for this call alone.
            k: number of clips.
            layout, channels: of the queries, see :meth:`embed`.

        Raises:
            CheckpointError: the bank is of a different encoder.
            ConfigError: k is not in 1..len(bank).
            DataError: as :meth:`embed`.
        """
        bank = bank if isinstance(bank, Bank) else self.bank(bank)
        bank.origin.require(self.identity, self.checkpoint, 'the bank')
        queries = self.features(query, source=bank.origin.source, layout=layout, channels=channels)
        return bank.nearest(queries.x, k)

    def attention(
        self, clip: Clips, *, layout: Layout | None = None, channels: Sequence[str] | None = None
    ) -> np.ndarray:
        """What a SkeAttnCLR encoder attends to: its salient mask of one clip, mean over the channels of its map.

        >>> encoder.attention(clips[0]).shape
        (1, 4, 25)

        Args:
            clip: one clip, as in :meth:`embed`.
            layout, channels: see :meth:`embed`.

        Returns:
            ``(M, T', V)`` float32 in (0, 1): persons, rows of the map, which cover the frames of the clip equally, and
            joints. NaN for an absent person.

        Raises:
            ConfigError: the encoder has no mask.
            DataError: several clips, or as :meth:`embed`.
        """
        check_mask(self.model)
        prepared = self._prepare(clip, layout, channels)
        if len(prepared) != 1:
            raise DataError(f'attention() received {len(prepared)} clips; pass one')
        mask = salient_mask(self.model, prepared.__getitems__([0]))[0]
        mask[~present_persons(prepared.clips.permute(0, 4, 1, 2, 3))[0]] = torch.nan
        return mask.numpy()

    def fit_few_shot(
        self,
        clips: Clips,
        labels: Sequence[Any] | None = None,
        *,
        accept: float = ACCEPT,
        readout: str | None = None,
        source: str = 'backbone',
        layout: Layout | None = None,
        channels: Sequence[str] | None = None,
        seed: int = 0,
    ) -> FewShotClassifier:
        """A classifier for a few labelled clips on the frozen features, with calibrated probabilities and a rejection.

        For the choices on held-out folds see :func:`skeattn.evaluation.few_shot.fit_few_shot`.

        Args:
            clips: as in :meth:`embed`; at least two of every class, five or more are better.
            labels: a name or number for each clip; clips with None are left out. By default those of the source, such
                as a packed set.
            accept: share of the clips of known classes that shall not be predicted as ``'unknown'``; 1 accepts nearly
                all clips.
            readout: see :meth:`embed`; by default ``'joints'`` of the backbone, joint by joint.
            source, layout, channels: see :meth:`embed`.
            seed: of the folds.

        Raises:
            DataError: a clip is unusable, the labels do not fit, or a class has one clip.
            ConfigError: ``accept`` is outside (0, 1], or as :meth:`embed`.
        """
        if readout is None and source.rpartition('/')[2] == 'backbone':
            readout = FEW_LABELS
        prepared = self._prepare(clips, layout, channels)
        if labels is not None:
            prepared.relabel(labels)
        features = self._extract(prepared, readout, source)
        probe, names = few_shot.fit(features, prepared.classes, accept, seed)
        return FewShotClassifier(self, probe, names, self._origin(source, readout))

    def load_few_shot(self, path: str | os.PathLike[str]) -> FewShotClassifier:
        """The classifier of a file that :meth:`FewShotClassifier.save` wrote.

        Raises:
            DataError: the file is missing, damaged, or holds something else.
            CheckpointError: it was fitted to a different encoder.
        """
        return FewShotClassifier.load(path, self)

    def _origin(self, source: str, readout: str | None) -> Origin:
        return Origin(self.identity, self.checkpoint, with_readout(source, readout))
