"""What the self-supervised methods share: what hooks and evaluation ask of them, query and key encoder, queue."""

from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor
from torch.nn.functional import normalize
from torch.nn.modules.batchnorm import _BatchNorm

from skeattn.errors import ConfigError
from skeattn.models.encoder import Encoder
from skeattn.models.momentum import key_copy, load_query, momentum_update
from skeattn.models.queue import FeatureQueue
from skeattn.registry import LOSSES, MODELS

Switches = dict[str, tuple[Any, str]]


class Pretraining(BaseModel):
    """What hooks and evaluation ask of a method that learns without labels.

    :meth:`loss` computes and stages keys; the key encoder and the queue change only when MomentumUpdateHook and
    QueueUpdateHook say so. A hook that was dropped is noticed at the next training step.

    Args:
        data_preprocessor: config of the SkeletonPreprocessor.
        init_cfg: mmengine initialisation of all weights.

    Attributes:
        micro_batches: batches per optimiser step (gradient accumulation).
    """

    def __init__(self, data_preprocessor: dict[str, Any] | None = None, init_cfg: Any = None) -> None:
        super().__init__(MODELS.build(data_preprocessor) if data_preprocessor else None, init_cfg)
        self.micro_batches = 1
        self.steps_since_update = 0

    def forward(self, inputs: dict[str, Any], data_samples: Tensor | None = None, mode: str = 'tensor') -> Any:
        """mmengine's entry: losses in mode ``'loss'``, pooled backbone features of the view ``clip`` otherwise."""
        if mode != 'loss':
            return self.embed(inputs['clip'], 'backbone')
        if self.steps_since_update >= self.micro_batches:
            raise ConfigError(
                'the key encoder was not updated after the last optimiser step; '
                'keep default_hooks.momentum=dict(type="MomentumUpdateHook", ...) in the config'
            )
        self.steps_since_update += 1
        return self.loss(inputs)

    def loss(self, inputs: dict[str, Any]) -> dict[str, Tensor]:
        """Losses of a training batch; ``'loss'`` is minimised, the others are logged."""
        raise NotImplementedError

    def expect_micro_batches(self, count: int) -> None:
        """Say how many batches make an optimiser step."""
        self.micro_batches = count

    def update_queue(self) -> None:
        """Enqueue the staged keys."""
        raise NotImplementedError

    def update_key_encoder(self, momentum: float, buffers: bool) -> None:
        """Advance the key encoder once; see :func:`~skeattn.models.momentum.momentum_update`."""
        raise NotImplementedError

    def features(self, data: dict[str, Any], source: str = 'backbone') -> Tensor:
        """Features ``(B, D)`` of a dataset batch for evaluation: no view is drawn, nothing is normalised.

        Args:
            data: a batch as the dataset hands it out.
            source: ``'backbone'`` (pooled map), ``'projector'`` or ``'predictor'`` (the global branch's).

        Raises:
            ConfigError: the method has no such source.
        """
        return self.embed(self.data_preprocessor(data, training=False)['inputs']['clip'], source)

    def embed(self, clips: Any, source: str) -> Tensor:
        """:meth:`features` of clips as the encoder reads them."""
        raise NotImplementedError

    def feature_sources(self) -> tuple[str, ...]:
        """The sources by which a table judges the method."""
        return ('backbone',)

    def feature_streams(self, source: str) -> int:
        """How many vectors, one per stream, :meth:`features` puts end to end."""
        return 1

    def switches(self) -> Switches:
        """The choices in which paper and release differ: name -> (value, where the value comes from)."""
        return draw_switches(self.data_preprocessor)


class MomentumContrast(Pretraining):
    """Base of the MoCo-style methods: a subclass writes :meth:`loss`.

    Args:
        backbone, projector: configs of E and g.
        queue: ``dict(size=K)``.
        loss: config of the contrastive loss.
        data_preprocessor: config of the SkeletonPreprocessor.
        persons, pool: see :class:`~skeattn.models.encoder.Encoder`.
        key_init: ``'copy'``: the key encoder starts equal to the query encoder; ``'independent'``: with weights of its
            own, as every release does by re-initialising after its copy.
        key_bn: what the key encoder's BN normalises by while training. ``'train'``: the batch, as every release does;
            ``'eval'``: the running statistics, which the momentum update carries over from the query encoder.
        init_cfg: mmengine initialisation of all weights.

    Attributes:
        released_temperature: tau of the method's release.

    Raises:
        ConfigError: unknown ``key_init`` or ``key_bn``, or several streams.
    """

    released_temperature = 0.07

    def __init__(
        self,
        backbone: dict[str, Any],
        projector: dict[str, Any],
        queue: dict[str, Any],
        loss: dict[str, Any],
        data_preprocessor: dict[str, Any] | None = None,
        persons: str = 'all',
        pool: str = 'mean',
        key_init: str = 'copy',
        key_bn: str = 'train',
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        if key_init not in ('copy', 'independent'):
            raise ConfigError(f'model.key_init={key_init!r}; choose "copy" or "independent"')
        if key_bn not in ('train', 'eval'):
            raise ConfigError(f'model.key_bn={key_bn!r}; choose "train" or "eval"')
        refuse_several_streams(self)
        self.key_init, self.key_bn = key_init, key_bn
        self.encoder_q = Encoder(backbone, projector, persons, pool)
        self.encoder_k = key_copy(self.encoder_q)
        self.queue = FeatureQueue(channels=self.encoder_q.projector.out_channels, **queue)
        self.contrast = LOSSES.build(loss)
        self.train()

    def train(self, mode: bool = True) -> 'MomentumContrast':
        """Set the mode of all modules but the key encoder's BN, which stays in evaluation with ``key_bn='eval'``."""
        super().train(mode)
        if self.key_bn == 'eval':
            for module in self.encoder_k.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def init_weights(self) -> None:
        """Initialise by ``init_cfg``, then make the key encoder a true copy unless told otherwise."""
        super().init_weights()
        if self.key_init == 'copy':
            load_query(self.encoder_k, self.encoder_q)

    def query(self, x: Tensor, **options: Any) -> Tensor:
        """Clips ``(N, M, C, T, V)`` -> unit embeddings z_q ``(N, D)``; ``options`` are handed to the backbone."""
        return unit(self.encoder_q.projector(self.encoder_q.map(x, **options).pool()))

    @torch.no_grad()
    def key(self, x: Tensor) -> Tensor:
        """Clips -> unit embeddings z_k of the key encoder."""
        return unit(self.encoder_k.projector(self.encoder_k.map(x).pool()))

    def expect_micro_batches(self, count: int) -> None:
        """See :meth:`Pretraining.expect_micro_batches`."""
        super().expect_micro_batches(count)
        self.queue.micro_batches = count

    def update_queue(self) -> None:
        """See :meth:`Pretraining.update_queue`."""
        self.queue.flush()

    def update_key_encoder(self, momentum: float, buffers: bool) -> None:
        """See :meth:`Pretraining.update_key_encoder`.

        Raises:
            ConfigError: BN statistics that are used and never updated.
        """
        if self.key_bn == 'eval' and not buffers:
            raise ConfigError(
                'model.key_bn="eval" normalises by running statistics, which only default_hooks.momentum.buffers=True '
                'updates'
            )
        momentum_update(self.encoder_k, self.encoder_q, momentum, buffers)
        self.steps_since_update = 0

    def embed(self, clips: Tensor, source: str) -> Tensor:
        """See :meth:`Pretraining.embed`."""
        pooled = self.encoder_q.map(clips).pool()
        if source == 'backbone':
            return pooled
        if source == 'projector':
            return self.encoder_q.projector(pooled)
        return self._predict(pooled, source)

    def _predict(self, pooled: Tensor, source: str) -> Tensor:
        raise ConfigError(f'features from {source!r} are not to be had from {type(self).__name__} as configured')

    def switches(self) -> Switches:
        """See :meth:`Pretraining.switches`."""
        origin = {'copy': 'sound; the release starts them different', 'independent': 'as released'}
        normalised = {'train': 'as released: by the batch', 'eval': 'ours: by the running statistics'}
        tau, released = getattr(self.contrast, 'temperature', None), self.released_temperature
        return {
            'key_init': (self.key_init, origin[self.key_init]),
            'key_bn': (self.key_bn, normalised[self.key_bn]),
            'temperature': (tau, 'as released' if tau == released else f'own choice; the release ran {released}'),
            **common_switches(self.encoder_q, self.data_preprocessor),
        }


def refuse_several_streams(model: BaseModel) -> None:
    """Raise a ConfigError where a method that reads one stream is given several."""
    streams = getattr(model.data_preprocessor, 'streams', ())
    if len(streams) > 1:
        raise ConfigError(
            f'stream={list(streams)}: {type(model).__name__} reads one stream; CrosSCLR trains several together'
        )


def common_switches(encoder: Encoder, preprocessor: Any) -> Switches:
    """The choices of every method: which persons count, how maps are pooled, and how augmentations are drawn."""
    persons = {'all': 'as released', 'present': 'absent persons neither encoded nor averaged'}
    pool = {'mean': 'paper (eq. 6)', 'last': 'the last frame; as released with BIGRU'}
    return {
        'persons': (encoder.persons, persons[encoder.persons]),
        'pool': (encoder.pool, pool[encoder.pool]),
        **draw_switches(preprocessor),
    }


def draw_switches(preprocessor: Any) -> Switches:
    """How a preprocessor's augmentations are drawn."""
    notes = {'sample': 'every clip its own draw; sound', 'batch': 'one draw per batch; as released'}
    return {
        f'views.{view}.{name}.per': (op.per, notes[op.per])
        for view, ops in getattr(preprocessor, 'ops', {}).items()
        for name, op in ops.items()
    }


def unit(x: Tensor) -> Tensor:
    """Rows scaled to unit length, in single precision at least."""
    return normalize(x.to(torch.promote_types(x.dtype, torch.float32)), dim=1)
