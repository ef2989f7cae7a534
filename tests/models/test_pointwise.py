"""The 1x1 convolution that skips frames, on channels-last maps as in the backbones."""

import pytest
import torch
from torch import nn

from skeattn.models.backbones.pointwise import Pointwise


@pytest.mark.parametrize('channels', [3, 4, 8, 16])
@pytest.mark.parametrize('frames', [63, 64])
def test_it_is_the_strided_convolution_and_so_are_its_gradients(channels, frames):
    torch.manual_seed(0)
    ours = Pointwise(channels, 2 * channels, stride=2)
    exact = nn.Conv2d(channels, 2 * channels, 1, (2, 1)).double()
    exact.load_state_dict(ours.state_dict())
    for _ in range(3):  # a damaged heap does not always show at once
        x = torch.randn(64, frames, 25, channels).permute(0, 3, 1, 2).requires_grad_()
        y = x.detach().double().contiguous().requires_grad_()
        grad = torch.randn(64, 32, 25, 2 * channels).permute(0, 3, 1, 2)
        (out := ours(x)).backward(grad)
        (expected := exact(y)).backward(grad.double())
        torch.testing.assert_close(out.double(), expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(x.grad.double(), y.grad, rtol=0, atol=1e-5)
    torch.testing.assert_close(ours.weight.grad.double(), exact.weight.grad, rtol=1e-4, atol=1e-2)
