"""HiCLR: hierarchical consistent contrastive learning with growing augmentations (Zhang et al., AAAI 2023)."""

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from skeattn.errors import ConfigError
from skeattn.models.algorithms.base import MomentumContrast, Switches
from skeattn.models.encoder import present_persons
from skeattn.models.losses import follow, mined_info_nce
from skeattn.registry import MODELS


@MODELS.register_module()
class HiCLR(MomentumContrast):
    """Three views, each augmented more strongly than the last, and each made to follow the one before it.

    Args:
        edges: config of the edges dropped and added in the strongest view's encoder (DropAddEdges); None for none, as
            the release trains.
        top_k: queue entries that every branch adds to the positives while ``mining`` (MiningHook switches it on).
        kwargs: see :class:`~skeattn.models.algorithms.base.MomentumContrast`.

    Raises:
        ConfigError: ``edges`` for a backbone that has none.

    Attributes:
        mask_fill: what stands in the masked joints of the strongest view; learnt.
    """

    mining = False
    released_temperature = 0.07

    def __init__(self, edges: dict[str, Any] | None = None, top_k: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.edges = MODELS.build(edges) if edges else None
        backbone = self.encoder_q.backbone
        if edges and 'edges' not in inspect.signature(backbone.forward).parameters:
            raise ConfigError(
                f'model.edges: {type(backbone).__name__}.forward takes no "edges", it has no graph to change; '
                f'set model.edges=None'
            )
        self.mask_fill = nn.Parameter(torch.zeros(()))
        self.top_k = top_k

    def loss(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """``inputs``: views ``query`` and ``key`` (basic), ``strong`` and ``stronger``, each ``(N, M, C, T, V)``."""
        z_0 = self.query(inputs['query'])
        z_1 = self.query(inputs['strong'])
        z_2 = self.query(self._filled(inputs), **({'edges': self.edges} if self.edges else {}))
        z_k = self.key(inputs['key'])

        branches = [self.contrast.logits(z, z_k, self.queue.keys) for z in (z_0, z_1, z_2)]
        L_info = mined_info_nce(branches, self.top_k if self.mining else 0)
        L_h1, L_h2 = follow(branches[0], branches[1]), follow(branches[1], branches[2])
        self.queue.stage(z_k)
        return {'loss': L_info + (L_h1 + L_h2) / 2, 'L_info': L_info, 'L_h1': L_h1, 'L_h2': L_h2}

    def _filled(self, inputs: dict[str, Tensor]) -> Tensor:
        """The strongest view with the learnt value in its masked joints."""
        x = inputs['stronger']
        if 'stronger.masked' not in inputs:
            return x + 0 * self.mask_fill  # so that every process has a gradient for it
        masked = inputs['stronger.masked'][:, None, None]
        if self.encoder_q.persons == 'present':  # a filled joint would bring an absent person to life
            masked = masked & present_persons(x)[:, :, None, None, None]
        return torch.where(masked, self.mask_fill, x)

    def paper_vs_release(self) -> Switches:
        """See :meth:`~skeattn.models.algorithms.base.Pretraining.paper_vs_release`."""
        edges = 'as released: never switched on' if self.edges is None else 'paper; the rates are our choice'
        return {
            'edges': ('off' if self.edges is None else 'on', edges),
            'top_k': (self.top_k, 'as released' if self.top_k == 1 else 'own choice'),
            **super().paper_vs_release(),
        }
