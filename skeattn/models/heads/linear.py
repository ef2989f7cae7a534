"""The linear classifier: on the features of a frozen encoder, or trained with the encoder."""

import torch
from torch import Tensor, nn

from skeattn.registry import HEADS


@HEADS.register_module()
class LinearHead(nn.Module):
    """One linear layer, initialised with weights from N(0, std²) and zero bias, as in the releases.

    Args:
        in_channels: feature dimension D.
        num_classes: number of classes.
        std: standard deviation of the initial weights.
        generator: source of the initial weights; torch's global one if None.
    """

    def __init__(
        self, in_channels: int, num_classes: int, std: float = 0.02, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.std = std
        # nn.Linear would first draw its own initial values from the global generator.
        self.fc = nn.utils.skip_init(nn.Linear, in_channels, num_classes)
        self.init_weights(generator)

    def init_weights(self, generator: torch.Generator | None = None) -> None:
        """Draw the weights."""
        nn.init.normal_(self.fc.weight, std=self.std, generator=generator)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, D) features -> (N, num_classes) logits."""
        return self.fc(x)
