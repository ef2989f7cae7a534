"""Mixed precision on any device."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from skeattn.engine.optim import OptimWrapper
from skeattn.engine.places import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Forward pass under bfloat16 autocast; weights, gradients and optimiser stay in float32.

    bfloat16 has the range of float32, so no loss scaling is needed. mmengine's wrapper refuses the CPU; this one runs
    on every device.

    Args:
        kwargs: see :class:`~skeattn.engine.optim.OptimWrapper`.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Also mmengine's context for gradient accumulation."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, dtype=torch.bfloat16):
            yield
