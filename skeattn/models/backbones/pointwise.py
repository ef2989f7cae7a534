"""A 1x1 convolution that skips frames."""

from torch import Tensor, nn
from torch.nn.functional import conv2d


class Pointwise(nn.Conv2d):
    """1x1 convolution of every ``stride``-th frame, ``(N, C, T, V)`` -> ``(N, C', ceil(T / stride), V)``.

    With few input channels a slice skips the frames before the convolution: PyTorch's strided 1x1 convolution corrupts
    memory in the backward pass on the CPU (8 channels in single precision, channels last, 64 frames). With 16 or more
    channels PyTorch's is used, because its gradients in bfloat16 are rounded differently.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, 1, (stride, 1))

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        if self.in_channels >= 16:
            return super().forward(x)
        return conv2d(x[:, :, :: self.stride[0]], self.weight, self.bias)
