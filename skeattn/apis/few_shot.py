"""A classifier for a few labelled clips on the features of a frozen encoder."""

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import torch
from pydantic import FiniteFloat, PositiveFloat, PositiveInt

from skeattn.apis.archive import Form, read_archive, tensors, write_archive
from skeattn.apis.clips import Clips, Layout
from skeattn.apis.predictions import Predictions
from skeattn.apis.retrieval import Origin
from skeattn.errors import DataError
from skeattn.evaluation.features import Features
from skeattn.evaluation.few_shot import UNKNOWN, FewShotProbe, fit_few_shot

_KIND = 'few-shot classifier'
_ARRAYS = {'weights': Form(np.float64, 2), 'bias': Form(np.float64, 1), 'bank': Form(np.float32, 2)}
_NUMBERS = ('temperature', 'least_similarity', 'least_probability')


@dataclass(frozen=True)
class _Facts:
    """What a file holds beside the arrays."""

    classes: list[str]
    num_streams: PositiveInt
    fit: dict[str, Any]
    origin: Origin
    temperature: PositiveFloat
    least_similarity: FiniteFloat
    least_probability: FiniteFloat


class Extractor(Protocol):
    """What a classifier needs of an encoder, see :class:`~skeattn.apis.encoder.TrainedEncoder`."""

    checkpoint: str

    @property
    def identity(self) -> str:
        """Digest of weights and pipeline."""

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
        """Features of clips."""


class FewShotClassifier:
    """A classifier made by :meth:`~skeattn.apis.encoder.TrainedEncoder.fit_few_shot`.

    >>> classifier = encoder.fit_few_shot(clips, labels)
    >>> predictions = classifier.predict(clips[:3])
    >>> predictions.probabilities.shape
    (3, 2)

    A prediction is ``'unknown'`` if the clip is less similar to every training clip than nearly all training clips are
    to those of other folds, or if its highest probability is lower than that of nearly all of these; for the rule see
    :func:`skeattn.evaluation.few_shot.fit_few_shot`.

    Args:
        encoder: computes the features.
        probe: the fitted probe.
        classes: names of its K classes.
        origin: the encoder and the source of the features.

    Raises:
        CheckpointError: the encoder is not that of ``origin``.
    """

    def __init__(self, encoder: Extractor, probe: FewShotProbe, classes: Sequence[str], origin: Origin) -> None:
        origin.require(encoder.identity, encoder.checkpoint, 'the classifier')
        self.encoder, self.probe, self.classes, self.origin = encoder, probe, tuple(classes), origin

    @property
    def facts(self) -> dict[str, Any]:
        """How it was fitted: ``penalty``, ``folds``, ``heldout_top1`` in percent, ``accept``."""
        return self.probe.facts

    def predict(
        self, clips: Clips, *, layout: Layout | None = None, channels: Sequence[str] | None = None
    ) -> Predictions:
        """Classes of clips, with probabilities and rejections.

        Args:
            clips, layout, channels: see :meth:`~skeattn.apis.encoder.TrainedEncoder.embed`.

        Raises:
            DataError, ConfigError: as ``embed``.
        """
        features = self.encoder.features(clips, source=self.origin.source, layout=layout, channels=channels)
        scores = self.probe(features.x)
        return Predictions(
            tuple(features.names),
            self.classes,
            scores.probabilities.numpy(),
            scores.unknown.numpy(),
            scores.similarity.numpy(),
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the classifier to one ``.npz`` file, without the encoder; ``encoder.load_few_shot`` reads it.

        Raises:
            StorageError: the disk is full or read-only.
        """
        probe = self.probe
        facts = {
            'classes': list(self.classes),
            'num_streams': probe.num_streams,
            'fit': probe.facts,
            'origin': asdict(self.origin),
            **{name: getattr(probe, name) for name in _NUMBERS},
        }
        write_archive(path, _KIND, facts, {name: getattr(probe, name).numpy() for name in _ARRAYS})

    @classmethod
    def load(cls, path: str | os.PathLike[str], encoder: Extractor) -> 'FewShotClassifier':
        """Read a classifier; nothing is executed.

        Raises:
            DataError: the file is missing, damaged, or holds something else.
            CheckpointError: it was fitted to a different encoder.
        """
        facts, arrays = read_archive(path, _KIND, _Facts, _ARRAYS)
        (D, K), bank = arrays['weights'].shape, arrays['bank']
        sizes = bank.shape[1] == D and len(bank) and len(facts.classes) == K and arrays['bias'].shape == (K,)
        if not sizes or D % facts.num_streams:
            raise DataError(f'{path} is damaged (arrays of different shape); make the {_KIND} again')
        known: dict[str, Any] = {**tensors(arrays, *_ARRAYS), **{name: getattr(facts, name) for name in _NUMBERS}}
        probe = FewShotProbe(**known, num_streams=facts.num_streams, facts=facts.fit)
        return cls(encoder, probe, facts.classes, facts.origin)


def fit(features: Features, classes: Sequence[str], accept: float, seed: int) -> tuple[FewShotProbe, list[str]]:
    """The probe on the labelled clips among some, and the names of its classes.

    Raises:
        DataError: a class has one clip, there is one class or none, or one is called ``'unknown'``.
    """
    labelled = features.select(torch.nonzero(features.labels >= 0)[:, 0])
    if not len(labelled):
        raise DataError('no clip has a label; pass labels=[...], one for each clip')
    present, counts = labelled.labels.unique(return_counts=True)
    names = [classes[i] for i in present.tolist()]
    if UNKNOWN in names:
        raise DataError(f'a class is called {UNKNOWN!r}, which is the name of rejected clips; rename it')
    if (counts < 2).any():
        rare = int(counts.argmin())
        clip = labelled.names[int((labelled.labels == present[rare]).nonzero()[0])]
        raise DataError(
            f'class {names[rare]!r} has one clip, {clip}; give at least two of every class, five or more are better'
        )
    labelled.labels = torch.searchsorted(present, labelled.labels)
    return fit_few_shot(labelled, accept, seed=seed), names
