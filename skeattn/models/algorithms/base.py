"""Shared by the self-supervised methods: the encoder that is evaluated, the key encoder, the queue."""

from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from skeattn.errors import ConfigError
from skeattn.models.encoder import Encoder
from skeattn.models.joint_names import NOTE, clips_to_embed, read_layout
from skeattn.models.losses import l2_normalize
from skeattn.models.momentum import MomentumUpdate, key_copy, load_query
from skeattn.models.queue import FeatureQueue
from skeattn.models.readout import READOUTS, refuse_readout, split_source
from skeattn.registry import LOSSES, MODELS

PaperVsRelease = dict[str, tuple[Any, str]]


class Pretraining(BaseModel):
    """A method that learns without labels: a subclass implements :meth:`loss`.

    Evaluation reads the attribute ``encoder``, an :class:`~skeattn.models.encoder.Encoder`, and for the source
    ``'predictor'`` the attribute ``predictor``; a method with other parts overrides :meth:`embed`.

    Args:
        data_preprocessor: config of the SkeletonPreprocessor.
        init_cfg: mmengine initialisation of all weights.
    """

    encoder: Encoder

    def __init__(self, data_preprocessor: dict[str, Any] | None = None, init_cfg: Any = None) -> None:
        super().__init__(MODELS.build(data_preprocessor) if data_preprocessor else None, init_cfg)

    def forward(self, inputs: dict[str, Any], data_samples: Tensor | None = None, mode: str = 'tensor') -> Any:
        """mmengine's entry: losses in mode ``'loss'``, pooled backbone features of the view ``clip`` otherwise."""
        read_layout(self, inputs.get(NOTE))
        return self.loss(inputs) if mode == 'loss' else self.embed(inputs['clip'], 'backbone')

    def loss(self, inputs: dict[str, Any]) -> dict[str, Tensor]:
        """Losses of a training batch; ``'loss'`` is minimised, the others are logged.

        Args:
            inputs: the views of the preprocessor by name, each ``(N, M, C, T, V)``, and their notes.
                Labels are not included.
        """
        raise NotImplementedError(f'{type(self).__name__} defines no loss(inputs)')

    def features(self, data: dict[str, Any], source: str = 'backbone') -> Tensor:
        """Features ``(B, D)`` of a dataset batch for evaluation: no view is drawn, nothing is normalised.

        Args:
            data: a batch of the dataset.
            source: ``'backbone'`` (the map), also with a readout, see :mod:`skeattn.models.readout`; ``'projector'`` or
                ``'predictor'``.

        Raises:
            ConfigError: the method has no such source.
        """
        return self.embed(clips_to_embed(self, data), source)

    def embed(self, clips: Any, source: str) -> Tensor:
        """:meth:`features` of clips ``(N, M, C, T, V)``."""
        predictor, (source, readout) = getattr(self, 'predictor', None), split_source(source)
        if source == 'backbone':
            return READOUTS[readout](self.encoder.map(clips).single())
        refuse_readout(source, readout)
        if source == 'projector' and self.encoder.projector is not None:
            return self.encoder(clips)
        if source == 'predictor' and predictor is not None:
            return predictor(self.encoder(clips))
        raise ConfigError(f'{type(self).__name__} as configured has no features from {source!r}')

    def feature_sources(self) -> tuple[str, ...]:
        """The sources from which a table evaluates the method."""
        return ('backbone',)

    def feature_streams(self, source: str) -> int:
        """The number of vectors, one per stream, that :meth:`features` concatenates."""
        return 1

    def paper_vs_release(self) -> PaperVsRelease:
        """The choices in which paper and released code differ: name -> (value, origin of the value).

        Empty by default, for methods without a release; a method with a release adds its own and :func:`draw_choices`.
        """
        return {}

    def switches(self) -> PaperVsRelease:
        """Old name of :meth:`paper_vs_release`; still read for a method that defines it."""
        return self.paper_vs_release()


class EncoderPretraining(Pretraining):
    """Base of the methods with one encoder and no key encoder: SimSiam, Barlow Twins, VICReg, masked models.

    Args:
        backbone, projector: configs of E and g; None for no projector.
        data_preprocessor: config of the SkeletonPreprocessor.
        persons, pool: see :class:`~skeattn.models.encoder.Encoder`.
        init_cfg: mmengine initialisation of all weights.

    Raises:
        ConfigError: several streams.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        projector: dict[str, Any] | None = None,
        data_preprocessor: dict[str, Any] | None = None,
        persons: str = 'all',
        pool: str = 'mean',
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        refuse_several_streams(self)
        self.encoder = Encoder(backbone, projector, persons, pool)


class MomentumPretraining(Pretraining):
    """Base of the methods with a key encoder (teacher): MomentumUpdateHook updates it once per optimiser step.

    A subclass lists the pairs of query and key modules in :meth:`momentum_pairs`. Without the hook, the next training
    step raises an error.

    Attributes:
        key_init: ``'copy'``: the key side starts equal to the query side; ``'independent'``: with separate weights.
        has_key_encoder: False for a method that has none as configured, and then needs no hook (MAMP).
        micro_batches: batches per optimiser step (gradient accumulation); set by the hook.
    """

    key_init = 'copy'
    has_key_encoder = True
    micro_batches = 1
    batches_since_update = 0
    _updates: list[MomentumUpdate] | None = None

    def _apply(self, fn: Any, recurse: bool = True) -> 'MomentumPretraining':
        """Move or convert all tensors, which may replace them."""
        self._updates = None
        return super()._apply(fn, recurse)

    def forward(self, inputs: dict[str, Any], data_samples: Tensor | None = None, mode: str = 'tensor') -> Any:
        """See :meth:`Pretraining.forward`.

        Raises:
            ConfigError: the key encoder was not updated after the last optimiser step.
        """
        if mode == 'loss' and self.has_key_encoder:
            if self.batches_since_update >= self.micro_batches:
                raise ConfigError(
                    'the key encoder was not updated after the last optimiser step; '
                    'keep default_hooks.momentum=dict(type="MomentumUpdateHook", ...) in the config'
                )
            self.batches_since_update += 1
        return super().forward(inputs, data_samples, mode)

    def init_weights(self) -> None:
        """Initialise by ``init_cfg``, then copy the query side to the key side if ``key_init='copy'``."""
        super().init_weights()
        if self.key_init == 'copy':
            for query, key in self.momentum_pairs():
                load_query(key, query)

    def momentum_pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """``(query, key)``: modules of equal structure, the second a :func:`~skeattn.models.momentum.key_copy`.

        The tensors of the pairs are collected at the first update.
        """
        raise NotImplementedError(f'{type(self).__name__} defines no momentum_pairs()')

    def update_key_encoder(self, momentum: float, buffers: bool) -> None:
        """Update the key encoder once; see :func:`~skeattn.models.momentum.momentum_update`."""
        if self._updates is None:
            self._updates = [MomentumUpdate(key, query) for query, key in self.momentum_pairs()]
        for update in self._updates:
            update(momentum, buffers)
        self.batches_since_update = 0


class MomentumContrast(MomentumPretraining):
    """Base of the MoCo-style methods: a subclass implements :meth:`loss`.

    :meth:`loss` computes and stages keys; only MomentumUpdateHook and QueueUpdateHook change key encoder and queue.

    Args:
        backbone, projector: configs of E and g.
        queue: ``dict(size=K)``; None, as ``loss``, for a method that does not need one (BYOL, MoCo v3; see ``needs``).
        loss: config of the contrastive loss.
        data_preprocessor: config of the SkeletonPreprocessor.
        persons, pool: see :class:`~skeattn.models.encoder.Encoder`.
        key_init: ``'copy'``: the key encoder starts equal to the query encoder; ``'independent'``: with separate
            weights, as in every release, which re-initialises after its copy.
        key_bn: statistics of the key encoder's BN in training. ``'train'``: those of the batch, as in every release;
            ``'eval'``: the running ones, which the momentum update averages from the query encoder.
        init_cfg: mmengine initialisation of all weights.

    Attributes:
        needs: which of ``queue`` and ``loss`` the method requires.
        released_temperature: tau of the method's release; None for a method without release.

    Raises:
        ConfigError: a queue or loss that the method needs is missing, unknown ``key_init`` or ``key_bn``, or several
            streams.
    """

    needs: tuple[str, ...] = ('queue', 'loss')
    released_temperature: float | None = None

    def __init__(
        self,
        backbone: dict[str, Any],
        projector: dict[str, Any],
        queue: dict[str, Any] | None = None,
        loss: dict[str, Any] | None = None,
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
        self._check_needs(queue=queue, loss=loss)
        refuse_several_streams(self)
        self.key_init, self.key_bn = key_init, key_bn
        self.encoder_q = Encoder(backbone, projector, persons, pool)
        self.encoder_k = key_copy(self.encoder_q)
        width = self.encoder_q.projector.out_channels
        self.queue: Any = None if queue is None else FeatureQueue(channels=width, **queue)
        self.contrast: Any = None if loss is None else LOSSES.build(loss)
        self.train()

    def _check_needs(self, **parts: Any) -> None:
        examples = {'queue': 'dict(size=32768)', 'loss': 'dict(type="InfoNCE")'}
        for name in self.needs:
            if parts[name] is None:
                raise ConfigError(
                    f'{type(self).__name__} needs a {name}: set model.{name}={examples[name]}, or `needs = ()` in '
                    f'the class if its loss does not use it'
                )

    @property
    def encoder(self) -> Encoder:  # type: ignore[override]
        """The query encoder."""
        return self.encoder_q

    def train(self, mode: bool = True) -> 'MomentumContrast':
        """Set the mode of all modules; with ``key_bn='eval'`` the key encoder's BN stays in evaluation mode."""
        super().train(mode)
        if self.key_bn == 'eval':
            for module in self.encoder_k.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def query(self, x: Tensor, **options: Any) -> Tensor:
        """Clips ``(N, M, C, T, V)`` -> unit embeddings z_q ``(N, D)``; ``options`` are passed to the backbone."""
        return l2_normalize(self.encoder_q(x, **options))

    @torch.no_grad()
    def key(self, x: Tensor) -> Tensor:
        """Clips -> unit embeddings z_k of the key encoder."""
        return l2_normalize(self.encoder_k(x))

    def momentum_pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """See :meth:`MomentumPretraining.momentum_pairs`."""
        return [(self.encoder_q, self.encoder_k)]

    def update_key_encoder(self, momentum: float, buffers: bool) -> None:
        """See :meth:`MomentumPretraining.update_key_encoder`.

        Raises:
            ConfigError: BN uses statistics that are never updated.
        """
        if self.key_bn == 'eval' and not buffers:
            raise ConfigError(
                'model.key_bn="eval" normalises by running statistics, which only default_hooks.momentum.buffers=True '
                'updates'
            )
        super().update_key_encoder(momentum, buffers)

    def paper_vs_release(self) -> PaperVsRelease:
        """See :meth:`Pretraining.paper_vs_release`."""
        if self.released_temperature is None:
            return {}
        origin = {'copy': 'sound; in the release the weights differ', 'independent': 'as released'}
        normalised = {'train': 'as released: by the batch', 'eval': 'ours: by the running statistics'}
        tau, released = getattr(self.contrast, 'temperature', None), self.released_temperature
        return {
            'key_init': (self.key_init, origin[self.key_init]),
            'key_bn': (self.key_bn, normalised[self.key_bn]),
            'temperature': (tau, 'as released' if tau == released else f'custom; the release used {released}'),
            **common_choices(self.encoder_q, self.data_preprocessor),
        }


def refuse_several_streams(model: BaseModel) -> None:
    """Raise a ConfigError if a method that reads one stream is configured with several."""
    streams = getattr(model.data_preprocessor, 'streams', ())
    if len(streams) > 1:
        raise ConfigError(
            f'stream={list(streams)}: {type(model).__name__} reads one stream; CrosSCLR trains several together'
        )


def common_choices(encoder: Encoder, preprocessor: Any) -> PaperVsRelease:
    """The choices of every method: persons, pooling, and the draws of the augmentations."""
    persons = {'all': 'as released', 'present': 'absent persons neither encoded nor averaged'}
    pool = {'mean': 'paper (eq. 6)', 'last': 'the last frame; as released with BIGRU'}
    return {
        'persons': (encoder.persons, persons[encoder.persons]),
        'pool': (encoder.pool, pool[encoder.pool]),
        **draw_choices(preprocessor),
    }


def draw_choices(preprocessor: Any) -> PaperVsRelease:
    """How a preprocessor's augmentations are drawn."""
    notes = {'sample': 'one draw per clip; sound', 'batch': 'one draw per batch; as released'}
    return {
        f'views.{view}.{name}.per': (op.per, notes[op.per])
        for view, ops in getattr(preprocessor, 'ops', {}).items()
        for name, op in ops.items()
    }
