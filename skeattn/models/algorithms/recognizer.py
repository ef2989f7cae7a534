"""Supervised recognition, the reference for self-supervised encoders."""

from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor
from torch.nn.functional import cross_entropy

from skeattn.errors import ConfigError
from skeattn.models.algorithms.base import PaperVsRelease, common_choices, refuse_several_streams
from skeattn.models.encoder import Encoder
from skeattn.models.heads import MLPHead
from skeattn.models.joint_names import NOTE, clips_to_embed, read_layout
from skeattn.models.readout import READOUTS, refuse_readout, split_source
from skeattn.registry import HEADS, MODELS
from skeattn.signatures import arguments_of
from skeattn.skeletons import get_layout

MODES = {'train': 'sound', 'eval': 'as released for fine-tuning: fixed BatchNorm statistics, no dropout'}


@MODELS.register_module()
class Recognizer(BaseModel):
    """Encoder and classifier trained together on the labels, as in ST-GCN (Yan et al., AAAI 2018).

    It has no key encoder and no queue: set ``default_hooks=dict(momentum=None, queue=None)``.

    Args:
        backbone: config of E.
        head: config of the classifier; ``in_channels`` and ``num_joints`` follow from the backbone, ``num_classes``
            from the top of the config. It receives pooled features ``(N, C)``, or the FeatureMap if its attribute
            ``reads_map`` is True. None: the encoder alone, for data with different classes than in its training.
        data_preprocessor: config of the SkeletonPreprocessor; its view ``query`` is trained on, ``query=dict()`` for
            the clip itself.
        persons, pool: see :class:`~skeattn.models.encoder.Encoder`.
        mode: ``'train'``; or ``'eval'``, as in the released fine-tuning: in training as well, BatchNorm uses its
            running statistics without updating them (scale and shift are learnt), and dropout is off.
        label_smoothing: share of the target that is spread evenly over all classes.
        init_cfg: mmengine initialisation of all weights; the head then draws its own, see
            :class:`~skeattn.models.heads.LinearHead`.

    Raises:
        ConfigError: several streams, or an unknown ``mode``.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        head: dict[str, Any] | None,
        data_preprocessor: dict[str, Any] | None = None,
        persons: str = 'all',
        pool: str = 'mean',
        mode: str = 'train',
        label_smoothing: float = 0.0,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(MODELS.build(data_preprocessor) if data_preprocessor else None, init_cfg)
        if mode not in MODES:
            raise ConfigError(f'model.mode={mode!r}; choose {" or ".join(map(repr, MODES))}')
        refuse_several_streams(self)
        self.mode, self.label_smoothing = mode, label_smoothing
        self.encoder = Encoder(backbone, persons=persons, pool=pool)
        self.head = self._build_head(head, backbone) if head else None
        self.num_classes: int | None = (head or {}).get('num_classes')

    def _build_head(self, head: dict[str, Any], backbone: dict[str, Any]) -> Any:
        follows = {'in_channels': self.encoder.backbone.out_channels}
        kind = HEADS.get(head['type']) if isinstance(head.get('type'), str) else head.get('type')
        if kind is not None and 'num_joints' in arguments_of(kind)[0] - head.keys():
            follows['num_joints'] = get_layout(backbone['layout']).num_joints
        return HEADS.build(head, default_args=follows)

    def train(self, mode: bool = True) -> 'Recognizer':
        """Switch to training mode; a model with ``mode='eval'`` stays in evaluation mode."""
        super().train(mode and self.mode == 'train')
        return self

    def forward(self, inputs: dict[str, Any], data_samples: Any = None, mode: str = 'tensor') -> Any:
        """mmengine's entry: losses in mode ``'loss'``, logits ``(N, classes)`` of the view ``clip`` otherwise."""
        read_layout(self, inputs.get(NOTE))
        return self.loss(inputs, data_samples) if mode == 'loss' else self.embed(inputs['clip'], 'logits')

    def loss(self, inputs: dict[str, Tensor], data_samples: Tensor) -> dict[str, Tensor]:
        """Cross entropy of a training batch, and the accuracy on its clips in percent.

        Args:
            inputs: the view ``query``, ``(N, M, C, T, V)``.
            data_samples: class indices ``(N,)``.

        Raises:
            ConfigError: no view ``query``, or a label without a class in the head.
        """
        if 'query' not in inputs:
            raise ConfigError(
                f'{type(self).__name__} trains on the view "query", but the views are {", ".join(inputs) or "none"}; '
                f'set model.data_preprocessor.views=dict(query=dict(...)), empty for the clip itself'
            )
        logits = self.embed(inputs['query'], 'logits')
        # Elsewhere the host would have to wait for the device, and a compiled graph reads no value.
        if data_samples.device.type == 'cpu' and not torch.compiler.is_compiling():
            check_labels(data_samples, logits.shape[1])
        accuracy = 100 * (logits.argmax(dim=1) == data_samples).float().mean()
        loss = cross_entropy(logits, data_samples, label_smoothing=self.label_smoothing)
        return {'loss': loss, 'accuracy': accuracy}

    def check_data(self, dataset: Any) -> None:
        """Check all labels of a training set, before training: a GPU's error would be an assertion in a CUDA kernel.

        Raises:
            ConfigError: a clip has no label, or one without a class in the head.
        """
        labels = getattr(dataset, 'labels', None)
        if labels is not None:
            check_labels(torch.as_tensor(labels), self.num_classes)

    def features(self, data: dict[str, Any], source: str = 'backbone') -> Tensor:
        """Features ``(B, D)`` of a dataset batch for evaluation: no view is drawn, nothing is normalised.

        Args:
            data: a batch of the dataset.
            source: ``'backbone'`` (the map), also with a readout, see :mod:`skeattn.models.readout`; or ``'logits'``.

        Raises:
            ConfigError: any other source.
        """
        return self.embed(clips_to_embed(self, data), source)

    def embed(self, clips: Tensor, source: str) -> Tensor:
        """:meth:`features` of clips ``(N, M, C, T, V)``."""
        source, readout = split_source(source)
        if source not in self.feature_sources():
            reason = ', because it has no classifier for these classes (model.head=None)' if source == 'logits' else ''
            raise ConfigError(f'{type(self).__name__} has no features from {source!r}{reason}; it has '
                              f'{" and ".join(map(repr, self.feature_sources()))}')  # fmt: skip
        F = self.encoder.map(clips).single()
        if source == 'backbone' or self.head is None:
            return READOUTS[readout](F)
        refuse_readout(source, readout)
        with torch.autocast(F.values.device.type, enabled=False):  # bfloat16 logits of similar classes would be equal
            return self.head(F if getattr(self.head, 'reads_map', False) else F.pool())

    def feature_sources(self) -> tuple[str, ...]:
        """The sources from which a table evaluates the method."""
        return ('backbone', 'logits') if self.head else ('backbone',)

    def feature_streams(self, source: str) -> int:
        """The number of vectors, one per stream, that :meth:`features` concatenates."""
        return 1

    def paper_vs_release(self) -> PaperVsRelease:
        """See :meth:`~skeattn.models.algorithms.base.Pretraining.paper_vs_release`."""
        std = getattr(self.head, 'std', None)
        origin = 'as released' if std == 0.02 else 'custom; the releases use 0.02'
        return {
            **({} if isinstance(self.head, MLPHead) else {'head.std': (std, origin)}),
            'mode': (self.mode, MODES[self.mode]),
            **common_choices(self.encoder, self.data_preprocessor),
        }


def check_labels(labels: Tensor, num_classes: int | None) -> None:
    """Refuse labels ``(N,)`` that a classifier cannot learn; the number of classes may be unknown.

    Raises:
        ConfigError: a clip has no label, or one beyond the last class.
    """
    if (labels < 0).any():
        raise ConfigError(
            'a training clip has no label, but a classifier learns from labels; train on the labelled clips alone, '
            'dataset.subset=dict(fraction=1.0), or use a self-supervised method'
        )
    beyond = labels[labels >= num_classes] if num_classes is not None else labels[:0]
    if len(beyond):
        raise ConfigError(
            f'num_classes={num_classes}, but a training clip has label {int(beyond[0])}; '
            f'set num_classes at the top of the config to the number of classes of the data set'
        )
