"""SLiM: self-distillation of skeletons with global and local views and masked tokens (KAIST-VICLab, NeurIPS 2026)."""

from typing import Any

import torch
from torch import Tensor, nn

from skeattn.errors import ConfigError
from skeattn.models.algorithms.base import MomentumPretraining, PaperVsRelease, draw_choices, refuse_several_streams
from skeattn.models.backbones import RotaryTransformer
from skeattn.models.encoder import Encoder, present_persons
from skeattn.models.losses import distillation, koleo, sinkhorn
from skeattn.models.momentum import key_copy
from skeattn.models.tokens import take
from skeattn.registry import MODELS, NECKS

GLOBALS = ('global1', 'global2')
CLASS = 'class'
"""The source of features that is the class token."""


@MODELS.register_module()
class SLiM(MomentumPretraining):
    """A student predicts the assignments of its averaged teacher: of other views, and of tokens that are masked.

    The teacher reads the views ``global1`` and ``global2`` whole. The student reads one of the two with tubes of tokens
    masked, drawn for each clip, and all other views, the local ones, likewise. The teacher is evaluated, as released.

    Args:
        backbone: config of E, a :class:`~skeattn.models.backbones.RotaryTransformer`.
        projector: config of the two heads, for class tokens and for masked tokens; the width follows from E.
        student_temperature: of the student's predictions.
        koleo_weight: weight of the term that spreads the class tokens.
        iterations: of Sinkhorn-Knopp, which makes the teacher's assignments.
        data_preprocessor: config of the SkeletonPreprocessor; ``global1`` and each local view end with a TubeMask, and
            every view shows one person.
        persons: of the features that are evaluated, see :class:`~skeattn.models.encoder.Encoder`. In training, absent
            persons have no effect.
        init_cfg: mmengine initialisation of all weights.

    Attributes:
        teacher_temperature: set by TeacherTemperatureHook in every iteration; a tensor, so that a compiled loss holds
            for all its values.

    Raises:
        ConfigError: another backbone, or several streams.
    """

    teacher_temperature: Tensor

    def __init__(
        self,
        backbone: dict[str, Any],
        projector: dict[str, Any] | None = None,
        student_temperature: float = 0.1,
        koleo_weight: float = 0.1,
        iterations: int = 3,
        data_preprocessor: dict[str, Any] | None = None,
        persons: str = 'present',
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        refuse_several_streams(self)
        self.student_temperature, self.koleo_weight, self.iterations = student_temperature, koleo_weight, iterations
        self.student = Encoder(backbone, persons=persons)
        E = self.student.backbone
        if not isinstance(E, RotaryTransformer):
            raise ConfigError(
                f'model.backbone.type={type(E).__name__!r} has no class token and masks no tokens; use '
                f'"RotaryTransformer", or a subclass'
            )
        head, width = {'type': 'PrototypeHead', **(projector or {})}, {'in_channels': E.out_channels}
        self.class_head: Any = NECKS.build(head, default_args=width)
        self.patch_head: Any = NECKS.build(head, default_args=width)
        self.mask_token = nn.Parameter(torch.zeros(1, E.out_channels))
        self.encoder = key_copy(self.student)
        self.teacher_heads = nn.ModuleDict({'class': key_copy(self.class_head), 'patch': key_copy(self.patch_head)})
        self.register_buffer('teacher_temperature', torch.tensor(0.07), persistent=False)

    def loss(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """``inputs``: the views ``(N, 1, C, T, V)``, and ``<view>.masked`` of ``global1`` and the local ones."""
        views, N = torch.cat([inputs[name] for name in GLOBALS]), len(inputs[GLOBALS[0]])
        masked, first = inputs['global1.masked'], inputs['global1.coin'][:, None]
        places = inputs['global1.places']
        hidden = masked.gather(1, places)
        states = self.read(views, torch.cat([masked & first, masked & ~first]))
        classes, patches = self.targets(views, first, places, hidden)
        seen = _of_one(states.tokens, first)
        L_patch = self.distil(patches, self.patch_head(take(seen, places)))
        L_patch = ((L_patch * hidden).sum(dim=1) / hidden.sum(dim=1).clamp(min=1)).mean() / 2
        local = self.local_summaries(inputs)
        pairs = 2 + 2 * len(local)
        L_global = 2 * self.distil(classes.roll(N, 0), self.class_head(states.summary)).mean() / pairs
        L_local = self.distil(classes[:N] + classes[N:], self.class_head(local)).mean(dim=1).sum() / pairs
        L_koleo = koleo(states.summary[:N]) + koleo(states.summary[N:])
        return {
            'loss': L_global + L_local + L_patch + self.koleo_weight * L_koleo,
            'L_global': L_global,
            'L_local': L_local,
            'L_patch': L_patch,
            'L_koleo': L_koleo,
        }

    def read(self, views: Tensor, masked: Tensor) -> Any:
        """The student's states of views ``(N, 1, C, T, V)`` with some tokens masked, bool ``(N, L)``.

        Raises:
            ConfigError: several persons, or masks for another number of tokens.
        """
        E = self.student.backbone
        if views.shape[1] != 1:
            raise ConfigError(
                f'the views show {views.shape[1]} persons, SLiM reads one: let them start from a view with '
                f'pick=dict(type="PickPerson") in model.data_preprocessor.views'
            )
        tokens = -(-views.shape[3] // E.temporal_stride) * views.shape[4]
        if masked.shape[1] != tokens:
            raise ConfigError(
                f'a view has {tokens} tokens, but its TubeMask drew {masked.shape[1]}: put it behind what changes the '
                f'frames, with patch={E.temporal_stride}'
            )
        return E.read(views, masked, self.mask_token)

    def local_summaries(self, inputs: dict[str, Tensor]) -> Tensor:
        """The student's class tokens of the local views, ``(views, N, D)``; views of equal length are read together."""
        lengths: dict[int, list[str]] = {}
        for name, x in inputs.items():
            if name not in GLOBALS and '.' not in name:
                lengths.setdefault(x.shape[3], []).append(name)
        summaries = [
            self.read(
                torch.cat([inputs[name] for name in names]), torch.cat([inputs[f'{name}.masked'] for name in names])
            ).summary.unflatten(0, (len(names), -1))
            for names in lengths.values()
        ]
        if not summaries:
            raise ConfigError(
                'model.data_preprocessor.views has no local view: define one besides global1 and global2, with a name '
                'of its own, which ends with a TubeMask'
            )
        return torch.cat(summaries)

    @torch.no_grad()
    def targets(self, views: Tensor, first: Tensor, places: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """The teacher's assignments of both global views, ``(2 N, K)``, and of the masked tokens, ``(N, L', K)``.

        Args:
            views: both views, unmasked, ``(2 N, 1, C, T, V)``.
            first: which of the two has masked tokens, ``(N, 1)``.
            places: tokens, ``(N, L')``; hidden: which of them are masked.
        """
        states = self.encoder.backbone.read(views)
        T, rounds = self.teacher_temperature, self.iterations
        classes = sinkhorn(self.teacher_heads['class'](states.summary), T, iterations=rounds)
        logits = self.teacher_heads['patch'](take(_of_one(states.tokens, first), places))
        patches = sinkhorn(logits.flatten(0, 1), T, hidden.flatten(), rounds)
        return classes, patches.view_as(logits)

    def distil(self, targets: Tensor, logits: Tensor) -> Tensor:
        """Cross entropy of targets and logits ``(..., K)``."""
        return distillation(targets, logits, self.student_temperature)

    def momentum_pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """See :meth:`~skeattn.models.algorithms.base.MomentumPretraining.momentum_pairs`."""
        heads = self.teacher_heads
        return [(self.student, self.encoder), (self.class_head, heads['class']), (self.patch_head, heads['patch'])]

    def embed(self, clips: Any, source: str) -> Tensor:
        """See :meth:`~skeattn.models.Pretraining.embed`; also the source ``'class'``, the mean over persons."""
        if source != CLASS:
            return super().embed(clips, source)
        N, M = clips.shape[:2]
        present = present_persons(clips) if self.encoder.persons == 'present' else clips.new_ones(N, M)
        weights = present / present.sum(dim=1, keepdim=True).clamp(min=1)
        summary = self.encoder.backbone.read(clips).summary
        summary = summary.to(torch.promote_types(summary.dtype, torch.float32)).view(N, M, -1)
        return (summary * weights[:, :, None]).sum(dim=1)

    def paper_vs_release(self) -> PaperVsRelease:
        """See :meth:`~skeattn.models.Pretraining.paper_vs_release`."""
        count, weight = self.class_head.out_channels, self.koleo_weight
        persons = {'all': 'absent persons are averaged', 'present': 'ours: mean; the release sums or concatenates them'}
        return {
            'prototypes': (count, 'as released' if count == 65536 else 'custom; the release used 65536'),
            'koleo_weight': (weight, 'as released' if weight == 0.1 else 'custom; the release used 0.1'),
            'persons': (self.encoder.persons, persons[self.encoder.persons]),
            **draw_choices(self.data_preprocessor),
        }


def _of_one(states: Tensor, first: Tensor) -> Tensor:
    """Of states of both views, ``(2 N, L, D)``, those of the first view or of the second: ``(N, L, D)``."""
    one, other = states.chunk(2)
    return torch.where(first[:, :, None], one, other)
