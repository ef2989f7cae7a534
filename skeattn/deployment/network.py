"""The network of a deployment: prepared clips in, features or class scores out."""

import copy
from typing import Any

import torch
from torch import Tensor, nn

from skeattn.datasets.converters.clips import read_layout
from skeattn.deployment.heads import ProbeHead
from skeattn.errors import ConfigError
from skeattn.models.encoder import Encoder
from skeattn.models.readout import LOGITS, with_readout
from skeattn.skeletons import SkeletonLayout

PERSONS = 2
"""Persons of a clip where neither pipeline nor backbone states a number."""
FRAME_AXES = {'clips': 2, 'missing': 1}
"""Input of a network -> its axis of frames."""


class DeployedNetwork(nn.Module):
    """A copy of a method, reduced to what computes its features; streams are derived inside.

    Absent persons are encoded like the others, whose work then does not depend on values: features equal those of the
    method but for rounding.

    Args:
        model: from :func:`~skeattn.engine.build.load_model`.
        source: ``'backbone'``, ``'projector'``, ``'logits'``, …; see ``features`` of the method.
        readout: of the backbone's map, see :mod:`skeattn.models.readout`; by default that of the source, or the mean.
        layout: of the clips, for a network that knows joints by name.
        head: a classifier of these features.
        missing: with a second input, the marks of missing joints, for motion and bone.

    Attributes:
        inputs: their names, ``('clips',)`` or ``('clips', 'missing')``.
        source: with its readout, such as ``'backbone@joints'``.
        stride: frames per row of the backbone's map; a clip's length is a multiple of it.
        shape: ``(C, T, V, M)`` of a clip as in training.

    Raises:
        ConfigError: the method has no such features, the length of its clips is not known, or ``missing`` without a
            stream that depends on it.
    """

    def __init__(
        self,
        model: nn.Module,
        source: str = 'backbone',
        readout: str | None = None,
        layout: str | None = None,
        head: ProbeHead | None = None,
        missing: bool = False,
    ) -> None:
        super().__init__()
        self.inputs = tuple(FRAME_AXES) if missing else ('clips',)
        self.source = source if source == LOGITS else with_readout(source, readout)
        self.model: Any = copy.deepcopy(model).eval().requires_grad_(False)
        encoders = [module for module in self.model.modules() if isinstance(module, Encoder)]
        for encoder in encoders:
            encoder.static = True
        self.stride = max((int(encoder.backbone.temporal_stride) for encoder in encoders), default=1)
        preprocessor: Any = self.model.data_preprocessor
        if missing and {*preprocessor.streams} == {'joint'}:
            raise ConfigError(
                'the joint stream reads a missing joint where the pipeline put it, and needs no marks; export without '
                '--missing (missing=False)'
            )
        self.head = head
        self.layout: SkeletonLayout = preprocessor.layout if layout is None else read_layout(layout)
        self.shape = _shape(self.model, self.layout)
        self._reduce()

    @property
    def output(self) -> str:
        """Name of the output: ``'probabilities'`` of a head, ``'logits'`` or ``'features'``."""
        if self.head is not None:
            return 'probabilities'
        return LOGITS if self.source == LOGITS else 'features'

    def example(self, clips: int, frames: int | None = None) -> tuple[Tensor, ...]:
        """Random :attr:`inputs`: clips ``(N, C, T, V, M)`` of plausible size in metres, marks of a tenth of the joints.

        The last person of the first clip is absent.
        """
        C, T, V, M = self.shape
        draws = torch.Generator().manual_seed(0)
        x = torch.randn(clips, C, frames or T, V, M, generator=draws).mul_(0.3)
        missing = torch.rand(clips, frames or T, V, M, generator=draws) < 0.1
        if M > 1:
            x[0, ..., -1] = 0
            missing[0, ..., -1] = False
        return (x, missing) if 'missing' in self.inputs else (x,)

    def forward(self, clips: Tensor, missing: Tensor | None = None) -> Tensor:
        """Features ``(N, D)``, logits or probabilities ``(N, classes)``.

        Args:
            clips: ``(N, C, T, V, M)``, prepared.
            missing: ``(N, T, V, M)`` bool, joints that were not seen; motions and bones that they enter are 0.
        """
        batch = {'inputs': clips, 'layout': self.layout.name} | ({} if missing is None else {'missing': missing})
        features: Tensor = self.model.features(batch, source=self.source)
        return features if self.head is None else self.head(features)

    @torch.no_grad()
    def _reduce(self) -> None:
        """Drop the parts that no feature depends on: key encoder, queue, predictor, …"""
        called: set[nn.Module] = set()
        hooks = [
            module.register_forward_pre_hook(lambda module, _: called.add(module)) for module in self.model.modules()
        ]
        try:
            self(*self.example(2))
        finally:
            for hook in hooks:
                hook.remove()
        for name, part in [*self.model.named_children()]:
            if called.isdisjoint(part.modules()):
                setattr(self.model, name, None)


def _shape(model: Any, layout: SkeletonLayout) -> tuple[int, int, int, int]:
    facts, preprocessor = getattr(model, 'trained_on', None) or {}, model.data_preprocessor
    pipeline = facts.get('pipeline') or {}
    frames = facts.get('num_frames')
    if frames is None:
        raise ConfigError(
            'the length of the clips is not known, since the network comes from no checkpoint; train it first, or load '
            'it with load_model(CONFIG, CHECKPOINT)'
        )
    persons = [step['num_persons'] for step in pipeline.values() if step and 'num_persons' in step]
    return len(preprocessor.channels), int(frames), layout.num_joints, int((persons or [PERSONS])[-1])
