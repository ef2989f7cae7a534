"""CrosSCLR: 3D human action representation learning via cross-view consistency pursuit (Li et al., CVPR 2021)."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from skeattn.errors import ConfigError
from skeattn.models.algorithms.base import MomentumPretraining, PaperVsRelease, draw_choices
from skeattn.models.algorithms.skeletonclr import SkeletonCLR
from skeattn.models.losses import first_positive, mean_of_logs, nearest_keys
from skeattn.registry import MODELS


@MODELS.register_module()
class CrosSCLR(MomentumPretraining):
    """One SkeletonCLR per stream, trained together; while mining, neighbours in one stream are positives in the others.

    The queues are filled in lock-step: a column holds the same clip in all of them.

    Args:
        data_preprocessor: its ``stream`` lists the streams.
        top_k: neighbours in another stream that become positives while ``mining`` (MiningHook switches it on).
        context: also compare by the product of both streams' similarities.
        shared_heads: the projector of every further stream is a layer followed by the first stream's projector, as in
            the release by accident; otherwise every stream has a separate one.
        stale_keys: while mining, only the motion stream's key encoder is updated, as in the release by accident.
        member: arguments of every stream's :class:`~skeattn.models.algorithms.skeletonclr.SkeletonCLR`.

    Raises:
        ConfigError: fewer than two streams, or ``stale_keys`` without a motion stream.
    """

    mining = False

    def __init__(
        self,
        data_preprocessor: dict[str, Any],
        top_k: int = 1,
        context: bool = True,
        shared_heads: bool = False,
        stale_keys: bool = False,
        **member: Any,
    ) -> None:
        super().__init__(data_preprocessor)
        streams = self.data_preprocessor.streams
        if len(streams) < 2 or (stale_keys and 'motion' not in streams):
            raise ConfigError(
                f'CrosSCLR: stream={list(streams)} and stale_keys={stale_keys}; name at least two streams at the top '
                f'of the config, stream=["joint", "motion", "bone"], motion among them for stale_keys'
            )
        self.top_k, self.context = top_k, context
        self.shared_heads, self.stale_keys = shared_heads, stale_keys
        self.members: Any = nn.ModuleDict({stream: SkeletonCLR(**copy.deepcopy(member)) for stream in streams})
        if shared_heads:
            members: list[Any] = list(self.members.values())
            for other in members[1:]:
                _put_before(other, members[0])

    def init_weights(self) -> None:
        """Initialise every stream."""
        for member in self.members.values():
            member.init_weights()

    def loss(self, inputs: dict[str, dict[str, Tensor]]) -> dict[str, Tensor]:
        """``inputs``: views ``query`` and ``key``, each ``{stream: (N, M, C, T, V)}``."""
        logits, own = {}, {}
        for u, member in self.members.items():
            z_q, z_k = member.query(inputs['query'][u]), member.key(inputs['key'][u])
            logits[u] = member.contrast.logits(z_q, z_k, member.queue.keys)
            own[u] = first_positive(logits[u])
            member.queue.stage(z_k)
        L = {u: self._cross(u, logits) for u in logits} if self.mining else own
        return {'loss': torch.stack(list(L.values())).sum(), **{f'L_{u}': value for u, value in L.items()}}

    def _cross(self, u: str, logits: dict[str, Tensor]) -> Tensor:
        """Mean over the other streams v of the loss of u with v's nearest neighbours as positives."""
        tau = self.members[u].contrast.temperature
        losses = []
        for v in (v for v in logits if v != u):
            compared, positives = logits[u], nearest_keys(logits[v], self.top_k)
            if self.context:
                product = logits[u][:, 1:] * logits[v][:, 1:] * tau  # of similarities, divided by tau once
                compared = torch.cat([compared, product], dim=1)
                positives = torch.cat([positives, positives[:, 1:]], dim=1)
            losses.append(mean_of_logs(compared, positives))
        return torch.stack(losses).mean()

    def momentum_pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """Those of all streams."""
        return [pair for member in self.members.values() for pair in member.momentum_pairs()]

    def update_key_encoder(self, momentum: float, buffers: bool) -> None:
        """See :meth:`~skeattn.models.algorithms.base.MomentumPretraining.update_key_encoder`."""
        stale = self.stale_keys and self.mining
        for stream, member in self.members.items():
            if not stale or stream == 'motion':
                member.update_key_encoder(momentum, buffers)
        self.batches_since_update = 0

    def embed(self, clips: dict[str, Tensor], source: str) -> Tensor:
        """The streams concatenated, or one stream for a source like ``'joint/backbone'``."""
        stream, _, kind = source.rpartition('/')
        if stream and stream not in self.members:
            raise ConfigError(f'features from {source!r}: the streams are {", ".join(self.members)}')
        streams = [stream] if stream else list(self.members)
        return torch.cat([self.members[u].embed(clips[u], kind) for u in streams], dim=1)

    def feature_sources(self) -> tuple[str, ...]:
        """All streams, and the first one alone."""
        return 'backbone', f'{next(iter(self.members))}/backbone'

    def feature_streams(self, source: str) -> int:
        """See :meth:`~skeattn.models.algorithms.base.Pretraining.feature_streams`."""
        return 1 if '/' in source else len(self.members)

    def paper_vs_release(self) -> PaperVsRelease:
        """See :meth:`~skeattn.models.algorithms.base.Pretraining.paper_vs_release`."""
        shared = 'as released' if self.shared_heads else 'one per stream; the release shares layers by accident'
        stale = 'as released: only motion is updated' if self.stale_keys else 'all are updated; the release omits two'
        one = next(iter(self.members.values()))
        return {
            'shared_heads': (self.shared_heads, shared),
            'stale_keys': (self.stale_keys, stale),
            **one.paper_vs_release(),
            **draw_choices(self.data_preprocessor),
        }


def _put_before(other: SkeletonCLR, first: SkeletonCLR) -> None:
    """Make the other stream's projector a layer that is followed by the first stream's projector."""
    width = first.encoder_q.backbone.out_channels
    layer = nn.Linear(width, width)
    for side, first_layer in (('encoder_q', layer), ('encoder_k', copy.deepcopy(layer).requires_grad_(False))):
        getattr(other, side).projector = nn.Sequential(first_layer, nn.ReLU(), getattr(first, side).projector)
