"""A linear classifier trained by SGD on the cross entropy, with the gradient in closed form.

The gradient of a linear layer is one product, so a step needs no graph and no optimiser object: a third of the time.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from skeattn.evaluation.scaling import Scaling, blocks

BN_EPS = 1e-6
"""Of MAMP's BatchNorm, as released."""
BN_MOMENTUM = 0.1
"""Of the running statistics, torch's default."""


def initial_weights(num_classes: int, num_streams: int, width: int, std: float, generator: torch.Generator) -> Tensor:
    """(num_classes, num_streams * width) weights from N(0, std²), drawn stream by stream."""
    parts = [torch.empty(num_classes, width).normal_(std=std, generator=generator) for _ in range(num_streams)]
    return torch.cat(parts, dim=1)


class LinearClassifier:
    """Softmax regression: the logits of each stream by a linear layer, then their mean (CrosSCLR's linear evaluation).

    The mean of the S layers is one product over all features, divided by S. The layers' biases start at zero and have
    the same gradient, so that one stands for all. With the probabilities P and the one-hot labels Y, both (N, classes),
    the gradients are G^T X of the weights and G^T 1 of the bias, where G = (P - Y) / (N S).

    Args:
        weight: (classes, D) initial weights; the classifier changes them. Their device and dtype are those of all
            features.
        num_streams: S, equal parts of a feature.
        momentum, weight_decay: of SGD, as in :class:`torch.optim.SGD`.
        batch_norm: BatchNorm without scale and shift in front of the layer (MAMP): statistics of the batch in a step,
            running ones in :meth:`logits`.

    Attributes:
        weight: (classes, D).
        bias: (classes,).
        velocity: momentum buffers of both; after the first step the gradients with their decay.
        running_mean, running_var: (D,), of the BatchNorm; None without it.
    """

    def __init__(
        self,
        weight: Tensor,
        num_streams: int = 1,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        self.weight, self.bias = weight, weight.new_zeros(len(weight))
        self.velocity = (torch.zeros_like(self.weight), torch.zeros_like(self.bias))
        self.num_streams, self.momentum, self.weight_decay = num_streams, momentum, weight_decay
        self.running_mean = weight.new_zeros(weight.shape[1]) if batch_norm else None
        self.running_var = weight.new_ones(weight.shape[1]) if batch_norm else None

    def step(self, x: Tensor, labels: Tensor, rate: float) -> Tensor:
        """One SGD step on features (N, D) and labels (N,); returns the mean cross entropy before it."""
        x = self._normalised(x, training=True)
        log_p = F.log_softmax(self._product(x), dim=1)
        loss = F.nll_loss(log_p, labels)
        column = labels[:, None]
        of_label = log_p.gather(1, column).expm1_()
        residual = log_p.exp_().scatter_(1, column, of_label)  # P - Y
        weight_velocity, bias_velocity = self.velocity
        scale = 1 / (len(x) * self.num_streams)
        weight_velocity.addmm_(residual.T, x, beta=self.momentum, alpha=scale)
        bias_velocity.mul_(self.momentum).add_(residual.sum(dim=0), alpha=scale)
        for parameter, velocity in zip((self.weight, self.bias), self.velocity, strict=True):
            if self.weight_decay:
                velocity.add_(parameter, alpha=self.weight_decay)
            parameter.add_(velocity, alpha=-rate)
        return loss

    def logits(self, x: Tensor) -> Tensor:
        """(N, D) features -> (N, classes), block by block."""
        return torch.cat([self._product(self._normalised(x[rows])) for rows in blocks(*x.shape)])

    def linear(self) -> tuple[Tensor, Tensor]:
        """The logits as a linear function of the features: weights (D, classes) and bias (classes,), float64."""
        weights, bias = self.weight.T.double() / self.num_streams, self.bias.double()
        if self.running_mean is None or self.running_var is None:
            return weights, bias
        return Scaling(self.running_mean.double(), (self.running_var.double() + BN_EPS).rsqrt()).undo(weights, bias)

    @property
    def finite(self) -> bool:
        """Whether no weight is NaN or infinite."""
        return bool(torch.isfinite(self.weight).all() & torch.isfinite(self.bias).all())

    def _product(self, x: Tensor) -> Tensor:
        return torch.addmm(self.bias, x, self.weight.T, alpha=1 / self.num_streams)

    def _normalised(self, x: Tensor, training: bool = False) -> Tensor:
        if self.running_mean is None:
            return x
        return F.batch_norm(x, self.running_mean, self.running_var, training=training, momentum=BN_MOMENTUM, eps=BN_EPS)
