"""Reading the golden cases and loading their states into our modules through the weight converter."""

import json
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skeattn.models.released_weights import convert_released
from tests.conftest import shared_path


class Golden:
    """One golden file; arrays as float64 tensors."""

    def __init__(self, name: str) -> None:
        self.arrays = np.load(shared_path(f'golden/{name}.npz'), allow_pickle=False)

    def __getitem__(self, key: str) -> Tensor:
        return torch.as_tensor(self.arrays[key])

    @property
    def meta(self) -> dict[str, Any]:
        return json.loads(str(self.arrays['meta']))

    def packed(self, group: str, prefix: str = '') -> dict[str, Tensor]:
        shapes, offsets, flat = (self.arrays[f'{group}.{part}'] for part in ('shapes', 'offsets', 'flat'))
        return {
            prefix + str(name): torch.as_tensor(
                flat[offsets[i] : offsets[i + 1]].reshape([d for d in shapes[i] if d >= 0])
            )
            for i, name in enumerate(self.arrays[f'{group}.names'])
        }

    def converted(self, group: str, method: str = 'skeattnclr', prefix: str = '') -> dict[str, Tensor]:
        """A packed group under our names."""
        return convert_released(self.packed(group, prefix), method).state


def assert_close(ours: Tensor, golden: Tensor, what: str, tolerance: float = 1e-9) -> None:
    """``max|a-b| <= tolerance * max(1, max|b|)``."""
    assert ours.shape == golden.shape, f'{what}: shape {tuple(ours.shape)} against {tuple(golden.shape)}'
    worst = (ours.detach() - golden).abs().max().item()
    assert worst <= tolerance * max(1.0, golden.abs().max().item()), f'{what} differs by {worst:.3g}'


def to_model(x: Tensor) -> Tensor:
    """``(N, C, T, V, M)`` -> ``(N, M, C, T, V)``."""
    return x.permute(0, 4, 1, 2, 3).contiguous()
