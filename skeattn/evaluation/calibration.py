"""Probabilities that mean what they say: temperature scaling, and how far probabilities are off."""

import numpy as np
import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from torch import Tensor

from skeattn.errors import NonFiniteError

LOWEST, HIGHEST = 0.25, 20.0
"""Bounds of a temperature of logits. A few clips, all of them predicted correctly, would ask for 0."""
NARROWEST, WIDEST = 1 / 16, 5.0
"""The same bounds for scores of any scale, in units of the usual lead of the highest score; logits lead by about 4."""


def fit_temperature(logits: Tensor, labels: Tensor, any_scale: bool = False) -> float:
    """The temperature T for which ``softmax(logits / T)`` has the lowest mean cross entropy.

    Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017.

    Args:
        logits: (N, K) of clips that the classifier was not fitted to.
        labels: (N,) int64.
        any_scale: whether these are scores of any scale, such as those of a regression, rather than logits.
    """
    logits, bounds = logits.double(), [LOWEST, HIGHEST]
    if any_scale and logits.shape[1] > 1 and (lead := usual_lead(logits)) > 0:
        bounds = [NARROWEST * lead, WIDEST * lead]

    def loss(log_T: float) -> float:
        return float(F.cross_entropy(logits / np.exp(log_T), labels))

    return float(np.exp(minimize_scalar(loss, bounds=np.log(bounds), method='bounded').x))


def usual_lead(scores: Tensor) -> float:
    """The median, over clips, of the distance between the two highest scores (N, K), K at least 2."""
    highest = scores.topk(2, dim=1).values
    return float((highest[:, 0] - highest[:, 1]).median())


def expected_calibration_error(probabilities: Tensor, labels: Tensor, bins: int = 15) -> float:
    """Mean difference between the confidence and the accuracy of clips of similar confidence, in [0, 1].

    Source: Naeini et al., AAAI 2015, with bins of equal width as in Guo et al., ICML 2017.

    Args:
        probabilities: (N, K).
        labels: (N,) int64.
        bins: of confidence, the highest probability of a clip.

    Raises:
        NonFiniteError: a probability is NaN.
    """
    if lacking := int(probabilities.isnan().any(dim=1).sum()):
        raise NonFiniteError(f'{lacking} of {len(probabilities)} clips have a probability that is NaN')
    confidence, predicted = probabilities.double().max(dim=1)
    correct = (predicted == labels).double()
    bin_of = (confidence * bins).long().clamp(max=bins - 1)
    gap = (correct - confidence).new_zeros(bins).index_add_(0, bin_of, correct - confidence)
    return float(gap.abs().sum() / len(labels))
