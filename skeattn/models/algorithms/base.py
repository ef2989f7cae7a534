"""What the momentum-contrast methods share: query and key encoder, queue, features for evaluation."""

from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor
from torch.nn.functional import normalize

from skeattn.errors import ConfigError
from skeattn.models.encoder import Encoder
from skeattn.models.momentum import key_copy, load_query, momentum_update
from skeattn.models.queue import FeatureQueue
from skeattn.registry import LOSSES, MODELS

Switches = dict[str, tuple[Any, str]]


class MomentumContrast(BaseModel):
    """Base of the MoCo-style methods: a subclass writes :meth:`loss`.

    ``loss`` computes and stages keys; the key encoder and the queue change only when MomentumUpdateHook and
    QueueUpdateHook say so. A hook that was dropped is noticed at the next training step.

    Args:
        backbone, projector: configs of E and g.
        queue: ``dict(size=K)``.
        loss: config of the contrastive loss.
        data_preprocessor: config of the SkeletonPreprocessor.
        persons: ``'all'`` or ``'present'``, see :class:`~skeattn.models.encoder.Encoder`.
        key_init: ``'copy'``: the key encoder starts equal to the query encoder; ``'independent'``: with weights of its
            own, as every release does by re-initialising after its copy.
        init_cfg: mmengine initialisation of all weights.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        projector: dict[str, Any],
        queue: dict[str, Any],
        loss: dict[str, Any],
        data_preprocessor: dict[str, Any] | None = None,
        persons: str = 'all',
        key_init: str = 'copy',
        init_cfg: Any = None,
    ) -> None:
        super().__init__(MODELS.build(data_preprocessor) if data_preprocessor else None, init_cfg)
        if key_init not in ('copy', 'independent'):
            raise ConfigError(f'model.key_init={key_init!r}; choose "copy" or "independent"')
        self.key_init = key_init
        self.encoder_q = Encoder(backbone, projector, persons)
        self.encoder_k = key_copy(self.encoder_q)
        self.queue = FeatureQueue(channels=self.encoder_q.projector.out_channels, **queue)
        self.contrast = LOSSES.build(loss)
        self.steps_since_update = 0

    def init_weights(self) -> None:
        """Initialise by ``init_cfg``, then make the key encoder a true copy unless told otherwise."""
        super().init_weights()
        if self.key_init == 'copy':
            load_query(self.encoder_k, self.encoder_q)

    def forward(self, inputs: dict[str, Tensor], data_samples: Tensor | None = None, mode: str = 'tensor') -> Any:
        """mmengine's entry: losses in mode ``'loss'``, pooled backbone features of the view ``clip`` otherwise."""
        if mode != 'loss':
            return self.encoder_q.map(inputs['clip']).pool()
        if self.steps_since_update >= self.queue.micro_batches:
            raise ConfigError(
                'the key encoder was not updated after the last optimiser step; '
                'keep default_hooks.momentum=dict(type="MomentumUpdateHook", ...) in the config'
            )
        self.steps_since_update += 1
        return self.loss(inputs)

    def loss(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Losses of a training batch; ``'loss'`` is minimised, the others are logged."""
        raise NotImplementedError

    def query(self, x: Tensor) -> Tensor:
        """Clips ``(N, M, C, T, V)`` -> unit embeddings z_q ``(N, D)``."""
        return unit(self.encoder_q.projector(self.encoder_q.map(x).pool()))

    @torch.no_grad()
    def key(self, x: Tensor) -> Tensor:
        """Clips -> unit embeddings z_k of the key encoder."""
        return unit(self.encoder_k.projector(self.encoder_k.map(x).pool()))

    def expect_micro_batches(self, count: int) -> None:
        """Say how many batches make an optimiser step (gradient accumulation)."""
        self.queue.micro_batches = count

    def update_queue(self) -> None:
        """Enqueue the staged keys."""
        self.queue.flush()

    def update_key_encoder(self, momentum: float, buffers: bool) -> None:
        """Advance the key encoder once; see :func:`~skeattn.models.momentum.momentum_update`."""
        momentum_update(self.encoder_k, self.encoder_q, momentum, buffers)
        self.steps_since_update = 0

    def features(self, data: dict[str, Any], source: str = 'backbone') -> Tensor:
        """Features ``(B, D)`` of a dataset batch for evaluation: no view is drawn, nothing is normalised.

        Args:
            data: a batch as the dataset hands it out.
            source: ``'backbone'`` (pooled map), ``'projector'`` or ``'predictor'`` (the global branch's).

        Raises:
            ConfigError: the method has no such source.
        """
        clips = self.data_preprocessor(data, training=False)['inputs']['clip']
        pooled = self.encoder_q.map(clips).pool()
        if source == 'backbone':
            return pooled
        if source == 'projector':
            return self.encoder_q.projector(pooled)
        return self._predict(pooled, source)

    def feature_views(self, source: str) -> int:
        """How many vectors, one per stream, :meth:`features` puts end to end."""
        return 1

    def _predict(self, pooled: Tensor, source: str) -> Tensor:
        raise ConfigError(f'features from {source!r} are not to be had from {type(self).__name__} as configured')

    def switches(self) -> Switches:
        """The choices in which paper and release differ: name -> (value, where the value comes from)."""
        origin = {'copy': 'sound; the release starts them different', 'independent': 'as released'}
        persons = {'all': 'as released', 'present': 'absent persons neither encoded nor averaged'}
        tau = getattr(self.contrast, 'temperature', None)
        found: Switches = {
            'key_init': (self.key_init, origin[self.key_init]),
            'persons': (self.encoder_q.persons, persons[self.encoder_q.persons]),
            'temperature': (tau, 'as released for SkeAttnCLR' if tau == 0.2 else 'own choice; SkeAttnCLR ran 0.2'),
        }
        for view, ops in getattr(self.data_preprocessor, 'ops', {}).items():
            for name, op in ops.items():
                note = 'every clip its own draw; sound' if op.per == 'sample' else 'one draw per batch; as released'
                found[f'views.{view}.{name}.per'] = (op.per, note)
        return found


def unit(x: Tensor) -> Tensor:
    """Rows scaled to unit length, in single precision at least."""
    return normalize(x.to(torch.promote_types(x.dtype, torch.float32)), dim=1)
