"""The linear classifier: on the features of a frozen encoder, or trained with the encoder."""

import torch
from torch import Tensor, nn

from skeattn.registry import HEADS


@HEADS.register_module()
class LinearHead(nn.Module):
    """One linear layer, weights from N(0, std²) and bias zero, as the releases start it.

    Args:
        in_channels: feature dimension D.
        num_classes: number of classes.
        std: standard deviation of the weights at the start.
        generator: source of the initial weights; torch's global one if None.
    """

    def __init__(
        self, in_channels: int, num_classes: int, std: float = 0.02, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.std = std
        # nn.Linear would draw its own initial values first, and thereby move the global generator.
        self.fc = nn.utils.skip_init(nn.Linear, in_channels, num_classes)
        self.init_weights(generator)

    def init_weights(self, generator: torch.Generator | None = None) -> None:
        """Draw the weights anew."""
        nn.init.normal_(self.fc.weight, std=self.std, generator=generator)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, D) features -> (N, num_classes) logits."""
        return self.fc(x)
