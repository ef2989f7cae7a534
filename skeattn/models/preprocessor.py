"""From a batch of clips to what the encoders read: views, stream, layout of the axes."""

from collections.abc import Callable
from typing import Any

import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from skeattn.augment.draws import generator
from skeattn.augment.functional import derive_stream
from skeattn.augment.ops import ClipSpec
from skeattn.errors import ConfigError
from skeattn.models.queue import gather_rows
from skeattn.registry import AUGMENTS, MODELS
from skeattn.skeletons import SkeletonLayout, get_layout


@MODELS.register_module()
class SkeletonPreprocessor(BaseDataPreprocessor):
    """Draws the views of a training batch on the device, derives the stream, and makes the only transposition.

    A view is a dict of named operations, applied in order; ``None`` removes one. ``source`` names the view it starts
    from (default: the clip itself), ``like`` another view whose operations it repeats with draws of its own::

        views=dict(
            query=dict(crop=dict(type='Crop', ratio=6), shear=dict(type='Shear', amplitude=0.5)),
            key=dict(like='query'),
            mix=dict(source='query', skelemix=dict(type='SkeleMix')),
        )

    Augmentations see joint coordinates; motion and bone are derived afterwards (so pasted borders show in them, as in
    the release).

    Args:
        layout: name of the skeleton layout.
        stream: ``'joint'``, ``'motion'`` or ``'bone'``.
        views: the training views.

    Raises:
        ConfigError: unknown stream or layout, or a view that refers to one that does not precede it.
    """

    def __init__(
        self, layout: str | SkeletonLayout, stream: str = 'joint', views: dict[str, dict[str, Any]] | None = None
    ) -> None:
        super().__init__()
        self.layout = get_layout(layout)
        self.stream = stream
        self.sources: dict[str, str] = {}
        self.ops: dict[str, dict[str, Any]] = {}
        for name, view in (views or {}).items():
            self._add_view(name, dict(view))
        self._seed: int | None = None
        self._iteration: int | None = None

    def _add_view(self, name: str, view: dict[str, Any]) -> None:
        source, like = view.pop('source', 'clip'), view.pop('like', None)
        known = ['clip', *self.ops]
        if source not in known or like not in (None, *self.ops):
            raise ConfigError(
                f'data_preprocessor.views.{name}: source={source!r}, like={like!r}; each must name a view '
                f'defined before it ({", ".join(known)})'
            )
        self.sources[name] = source
        self.ops[name] = dict(self.ops[like]) if like else {}
        for op, cfg in view.items():
            if cfg is None:
                self.ops[name].pop(op, None)
            else:
                self.ops[name][op] = AUGMENTS.build(cfg)

    def begin_iteration(self, seed: int, iteration: int) -> None:
        """Say which training iteration the next batch belongs to; its draws depend on nothing else."""
        self._seed, self._iteration = seed, iteration

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Views of a batch.

        Args:
            data: ``inputs`` ``(B, C, T, V, M)`` joint coordinates, ``labels`` ``(B,)``.
            training: draw the views; otherwise the one view ``clip`` is the clip itself.

        Returns:
            ``inputs``: ``{view: (B, M, C, T, V)}``, ``data_samples``: labels.

        Raises:
            ConfigError: training without :meth:`begin_iteration`: repeated draws would go unnoticed.
        """
        data = self.cast_data(data)
        with torch.autocast(data['inputs'].device.type, enabled=False):  # bfloat16 would move joints by centimetres
            views = self.draw_views(data['inputs']) if training else {'clip': data['inputs']}
            inputs = {name: self._to_model(x) for name, x in views.items()}
        return {'inputs': inputs, 'data_samples': data.get('labels')}

    def draw_views(self, clips: Tensor) -> dict[str, Tensor]:
        """The training views ``(B, C, T, V, M)`` of this process's part of the global batch, joint coordinates."""
        if self._iteration is None or self._seed is None:
            raise ConfigError(
                'a training batch came without begin_iteration(seed, iteration), so its augmentations would repeat; '
                'keep default_hooks.randomness=dict(type="RandomnessHook") in the config'
            )
        views = {'clip': clips}
        for name, ops in self.ops.items():
            x = views[self.sources[name]]
            for op_name, op in ops.items():
                draws = generator(self._seed, self._iteration, name, op_name)
                x = self._augment(op, x, draws)
            views[name] = x
        self._iteration = None
        del views['clip']
        return views

    def _augment(self, op: Any, x: Tensor, draws: torch.Generator) -> Tensor:
        B, rank = len(x), get_rank()
        spec = ClipSpec(frames=x.shape[2], layout=self.layout, batch=B * get_world_size())
        params = op.draw(spec, draws)
        mine = {name: value[rank * B : (rank + 1) * B].to(x.device) for name, value in params.items()}
        return op.apply(x, mine, _partners(x, rank * B))

    def _to_model(self, x: Tensor) -> Tensor:
        return derive_stream(x, self.stream, self.layout).permute(0, 4, 1, 2, 3).contiguous()


def _partners(x: Tensor, first: int) -> Callable[[Tensor], Tensor]:
    def partners(shift: Tensor) -> Tensor:
        everyone = gather_rows(x)
        place = first + torch.arange(len(x), device=x.device)
        return everyone[(place + shift) % len(everyone)]

    return partners
