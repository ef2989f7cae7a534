"""A trained linear probe as it is published: a classifier of an encoder's features, with calibrated probabilities."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from skeattn.errors import CheckpointError
from skeattn.evaluation.calibration import fit_temperature
from skeattn.evaluation.discriminant import LOWEST as UNKNOWN
from skeattn.evaluation.result import LinearScores

_TENSORS = ('weights', 'bias')


@dataclass(frozen=True)
class TrainedProbe:
    """A linear classifier of the features of one source.

    Args:
        weights: (D, K) float64.
        bias: (K,) float64.
        source: of the features, with its readout, such as ``'backbone@joints'``.
        classes: names of the K classes.
        temperature: of the probabilities ``softmax(scores / temperature)``, fitted on held-out training clips.
        protocol: by which it was trained.
    """

    weights: Tensor
    bias: Tensor
    source: str
    classes: tuple[str, ...]
    temperature: float = 1.0
    protocol: str = 'probe'

    @classmethod
    def of(cls, trained: LinearScores, source: str, classes: tuple[str, ...], protocol: str) -> 'TrainedProbe':
        """The probe of an evaluation."""
        temperature = 1.0
        if (held := trained.heldout) is not None:
            # A class of a single subject is unknown while that subject is held out.
            known = held.scores.gather(1, held.labels[:, None])[:, 0] > UNKNOWN
            if known.any():
                temperature = fit_temperature(held.scores[known], held.labels[known], any_scale=True)
        return cls(trained.weights, trained.bias, source, classes, temperature, protocol)

    @classmethod
    def stored(cls, content: Any, path: str) -> 'TrainedProbe':
        """The probe of a published file: ``tensors`` and ``facts`` of :attr:`tensors` and :attr:`facts`.

        Raises:
            CheckpointError: they do not fit each other.
        """
        try:
            tensors, facts = content['tensors'], content['facts']
            weights, bias = (tensors[name].double() for name in _TENSORS)
            classes, temperature = tuple(map(str, facts['classes'])), float(facts['temperature'])
            probe = cls(weights, bias, str(facts['source']), classes, temperature, str(facts['protocol']))
            if weights.shape[1:] != bias.shape or bias.shape != (len(classes),) or not 0 < temperature < 1e6:
                raise ValueError('shapes or numbers that do not fit')
            if not (torch.isfinite(weights).all() and torch.isfinite(bias).all()):
                raise ValueError('values that are not finite')
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise CheckpointError(f'{path}: its probe is damaged ({error!r:.100}); publish it again') from error
        return probe

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Of its file, by name."""
        return {name: getattr(self, name) for name in _TENSORS}

    @property
    def facts(self) -> dict[str, Any]:
        """Of its file, beside the tensors."""
        known = ('source', 'temperature', 'protocol')
        return {**{name: getattr(self, name) for name in known}, 'classes': list(self.classes)}

    def scores(self, x: Tensor) -> Tensor:
        """(N, K) float64 of features (N, D).

        Raises:
            CheckpointError: the probe reads another number of features.
        """
        D = len(self.weights)
        if x.shape[1] != D:
            raise CheckpointError(f'the stored probe reads {D} features, {self.source} has {x.shape[1]}; publish again')
        return x.double() @ self.weights + self.bias

    def probabilities(self, x: Tensor) -> Tensor:
        """(N, K) float64 of features (N, D)."""
        return (self.scores(x) / self.temperature).softmax(dim=1)
