"""Classifiers of features inside an exported graph: a published probe, or one that was fitted to few labels."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from skeattn.evaluation.few_shot import UNKNOWN, FewShotProbe
from skeattn.evaluation.scaling import unit_streams
from skeattn.evaluation.trained_probe import TrainedProbe


class ProbeHead(nn.Module):
    """Features ``(N, D)`` -> probabilities ``(N, K)`` float32.

    Args:
        weights: (D, K).
        bias: (K,).
        temperature: of the probabilities.
        classes: names of the outputs.
    """

    weights: Tensor
    bias: Tensor

    def __init__(self, weights: Tensor, bias: Tensor, temperature: float, classes: Sequence[str]) -> None:
        super().__init__()
        self.register_buffer('weights', weights.double())
        self.register_buffer('bias', bias.double())
        self.temperature, self.classes = temperature, list(classes)

    @classmethod
    def of(cls, probe: TrainedProbe) -> 'ProbeHead':
        """The head of a published probe."""
        return cls(probe.weights, probe.bias, probe.temperature, probe.classes)

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        return self.probabilities(x).float()

    def probabilities(self, x: Tensor) -> Tensor:
        """In float64, as thresholds are close to 1."""
        return ((x.double() @ self.weights + self.bias) / self.temperature).softmax(dim=1)


class FewShotHead(ProbeHead):
    """Features ``(N, D)`` -> probabilities of the known classes, and 1 for a rejected clip, else 0: ``(N, K + 1)``.

    Args:
        probe: the classifier; its training clips are part of the graph.
        classes: names of its K classes.
    """

    bank: Tensor

    def __init__(self, probe: FewShotProbe, classes: Sequence[str]) -> None:
        super().__init__(probe.weights, probe.bias, probe.temperature, [*classes, UNKNOWN])
        self.num_streams = probe.num_streams
        self.least = probe.least_similarity, probe.least_probability
        self.register_buffer('bank', unit_streams(probe.bank, probe.num_streams))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        probabilities = self.probabilities(x)
        nearest = (unit_streams(x, self.num_streams) @ self.bank.T / self.num_streams).amax(dim=1)
        least_similarity, least_probability = self.least
        unknown = (nearest < least_similarity) | (probabilities.amax(dim=1) < least_probability)
        return torch.cat([probabilities, unknown.to(probabilities)[:, None]], dim=1).float()
