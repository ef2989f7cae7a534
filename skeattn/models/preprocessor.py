"""From a batch of clips to the input of the encoders: views, stream, order of the axes."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.model import BaseDataPreprocessor
from torch import Tensor

from skeattn.augment.base import Augment, ClipSpec, Params
from skeattn.augment.functional import STREAMS, derive_stream, seen_in_stream
from skeattn.augment.seeding import generator
from skeattn.channels import AXES, check_channels, num_coordinates
from skeattn.errors import ConfigError
from skeattn.models.joint_names import NOTE, are_several
from skeattn.models.processes import partner_rows
from skeattn.models.transfer import moved, moved_values
from skeattn.models.views import Inputs, View
from skeattn.registry import AUGMENTS, MODELS
from skeattn.skeletons import SkeletonLayout, get_layout
from skeattn.steps import in_order


@MODELS.register_module()
class SkeletonPreprocessor(BaseDataPreprocessor):
    """Draws the views of a training batch on the device, derives the stream, and does the only transposition.

    A view is a dict of named operations, applied in order; ``None`` removes one, ``before`` or ``after`` place it
    beside another (:func:`~skeattn.steps.in_order`). ``source`` is the view to start from (default: the clip itself),
    ``like`` a view whose operations (and ``within``) are repeated with separate draws::

        views=dict(
            query=dict(crop=dict(type='Crop', ratio=6), shear=dict(type='Shear', amplitude=0.5)),
            key=dict(like='query'),
            mix=dict(source='query', skelemix=dict(type='SkeleMix')),
        )

    A view whose first operation reads clips at their native length (``CropResize``) starts from those of the batch, and
    has the number of frames that the operation gives it; so have the views that start from it. A view of operations
    that keep this length (``PickPerson``) is a source for others and is not passed to the model. ``within`` names a
    view that such an operation has cut out: this view has its source, and its piece lies within the piece of that one::

        views=dict(
            person=dict(pick=dict(type='PickPerson')),
            whole=dict(source='person', crop=dict(type='CropSample', num_frames=64)),
            part=dict(within='whole', crop=dict(type='CropSample', num_frames=16)),
        )

    Operations receive joint coordinates; motion and bone are derived afterwards (so they show pasted borders, as in the
    SkeAttnCLR release). Operations with ``on='stream'`` come last and receive the derived stream.

    Args:
        layout: name of the skeleton layout; a list for an encoder that knows joints by name, and then every batch
            names its own, ``layout``.
        stream: ``'joint'``, ``'motion'`` or ``'bone'``; or several of them, for a method that reads them together.
        views: the training views; None removes one that a base config defines.
        channels: names of the C values of a joint. Streams and operations that move the body change its coordinates
            alone; a score is unchanged.

    Raises:
        ConfigError: unknown stream or layout, channels without coordinates, a view that refers to one not defined
            before it, an operation placed beside one that the view lacks, or one that reads clips at their native
            length where they no longer have it.
    """

    def __init__(
        self,
        layout: str | SkeletonLayout | Sequence[str],
        stream: str | Sequence[str] = 'joint',
        views: Mapping[str, dict[str, Any] | None] | None = None,
        channels: Sequence[str] = AXES,
    ) -> None:
        super().__init__()
        self.channels = check_channels(channels)
        self.layout_name: str | list[str]
        self._layout: SkeletonLayout | None
        if are_several(layout):
            self.layout_name, self._layout = [get_layout(one).name for one in layout], None
        else:
            self._layout = get_layout(layout)
            self.layout_name = self._layout.name
        self.stream = stream if isinstance(stream, str) else tuple(stream)
        for name in self.streams:
            if name not in STREAMS:
                raise ConfigError(f'stream={stream!r}: {name!r} is unknown; choose among {", ".join(STREAMS)}')
        self.sources: dict[str, str] = {}
        self.within: dict[str, str] = {}
        self.ops: dict[str, dict[str, Augment]] = {}
        for name, view in (views or {}).items():
            if view is not None:
                self._add_view(name, dict(view))
        self._seed: int | None = None
        self._iteration: int | None = None
        self._frames: dict[tuple[str, str], int] = {}
        self._frames_of: int | None = None

    @property
    def layout(self) -> SkeletonLayout:
        """The layout of the clips; of several, that of the present batch.

        Raises:
            ConfigError: no batch has named its layout.
        """
        if self._layout is None:
            raise ConfigError(
                f'layout={self.layout_name}: a batch must name its layout, as those of a MultiLayoutDataset do'
            )
        return self._layout

    @property
    def streams(self) -> tuple[str, ...]:
        """The streams as a tuple, also if there is only one."""
        return (self.stream,) if isinstance(self.stream, str) else self.stream

    @property
    def reads_native(self) -> bool:
        """Whether a view starts from the clips at their native length, which training batches must then hold."""
        return any(op.native for ops in self.ops.values() for op in ops.values())

    def _add_view(self, name: str, view: dict[str, Any]) -> None:
        like = view.pop('like', None)
        within = view.pop('within', self.within.get(like))
        source = view.pop('source', self.sources.get(within, 'clip'))
        earlier = ['clip', *self.ops]
        if source not in earlier or like not in (None, *self.ops) or within not in (None, *self.ops):
            raise ConfigError(
                f'data_preprocessor.views.{name}: source={source!r}, like={like!r}, within={within!r}; each must name '
                f'a view defined before it ({", ".join(earlier)})'
            )
        self.sources[name] = source
        inherited = self.ops[like] if like else {}
        ordered = in_order({op: {} for op in inherited} | view, f'data_preprocessor.views.{name}')
        self.ops[name] = {
            op: AUGMENTS.build(cfg) if op in view else inherited[op] for op, cfg in ordered.items() if cfg is not None
        }
        self._check_native(name)
        if within is not None:
            self.within[name] = within
            self._check_within(name, within)

    def _check_native(self, name: str) -> None:
        """Operations for clips at their native length must find them, and others must not."""
        source, native = self.sources[name], True
        if source != 'clip':
            native = self.is_native(source)
        for place, (op, augment) in enumerate(self.ops[name].items()):
            fresh = source == 'clip' and place == 0
            if augment.native and (not native or augment.on == 'stream'):
                raise ConfigError(
                    f'data_preprocessor.views.{name}.{op}: {type(augment).__name__} reads the clip at its native '
                    f'length, so it must be the first operation of a view that starts from the clip or from a view of '
                    f'that length, and on joints: here the first is {next(iter(self.ops[name]))!r}, '
                    f'source={source!r}, on={augment.on!r}'
                )
            if not augment.native and native and not fresh:
                raise ConfigError(
                    f'data_preprocessor.views.{name}.{op}: {type(augment).__name__} reads clips of one length; put an '
                    f'operation such as CropSample or CropResize before it'
                )
            native = augment.native and augment.keeps_length

    def is_native(self, view: str) -> bool:
        """Whether a view has clips at their native length: a source for other views, no input of the model."""
        ops = list(self.ops[view].values())
        if not ops:
            return self.sources[view] != 'clip' and self.is_native(self.sources[view])
        return ops[-1].native and ops[-1].keeps_length

    def _check_within(self, name: str, within: str) -> None:
        cuts = [any(op.native and not op.keeps_length for op in self.ops[view].values()) for view in (name, within)]
        if not all(cuts) or self.sources[name] != self.sources[within]:
            raise ConfigError(
                f'data_preprocessor.views.{name}.within={within!r}: both views must have the same source, and an '
                f'operation that cuts a piece out of clips at their native length, such as CropSample'
            )

    def begin_iteration(self, seed: int, iteration: int) -> None:
        """Set seed and training iteration of the next batch; its draws depend on nothing else."""
        self._seed, self._iteration = seed, iteration

    def cast_data(self, data: Any) -> Any:
        """A batch on the device; its tensors in one copy, see :func:`~skeattn.models.transfer.moved`."""
        if not isinstance(data, Mapping):
            return super().cast_data(data)
        tensors = {name: value for name, value in data.items() if isinstance(value, Tensor)}
        others = super().cast_data({name: value for name, value in data.items() if name not in tensors})
        return {**others, **moved_values(tensors, self.device)}

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Views of a batch.

        Args:
            data: ``inputs`` ``(B, C, T, V, M)`` joint coordinates, ``labels`` ``(B,)``; where joints are missing also
                ``missing`` ``(B, T, V, M)`` bool. These marks move with their joints and frames through the operations;
                a motion or bone that a missing joint enters is 0. For operations such as ``CropResize`` the clips at
                their native length: ``native`` ``(B, C, longest, V, M)``, ``frames`` ``(B,)``, ``native_missing``
                ``(B, longest, V, M)``. With several layouts, ``layout``: the name of the one that all clips have.
            training: draw the views; otherwise the only view is ``clip``, the clip itself.

        Returns:
            ``inputs``: ``{view: (B, M, C, T, V)}``, or ``{view: {stream: (B, M, C, T, V)}}`` for several streams; the
            notes of the operations, ``{'<view>.<note>': (B, ...)}``; in training also ``clip.index`` ``(B,)``, the
            indices of the clips in the data set, and where joints are missing ``<view>.seen``, bool ``(B, M, T, V)``;
            with several layouts also ``clip.layout``, a name;
            ``data_samples``: labels.

        Raises:
            ConfigError: training without :meth:`begin_iteration`: repeated draws would go unnoticed; or an operation
                that reads clips at their native length, and a batch without them.
        """
        data = self.cast_data(data)
        self._read_layout(data.get('layout'))
        with torch.autocast(data['inputs'].device.type, enabled=False):  # bfloat16 would move joints by centimetres
            clips, marked = _marked(data['inputs'], data.get('missing')), 'missing' in data
            views = self.draw_views(clips, marked, data) if training else {'clip': View(clips, marked)}
            inputs = Inputs({name: self._to_model(view) for name, view in views.items()})
        for name, view in views.items():
            inputs.update({f'{name}.{note}': value for note, value in view.notes.items()})
            if training and view.marked:
                inputs[f'{name}.seen'] = (view.clips[:, -1] > 0.5).permute(0, 3, 1, 2)
        if training and 'index' in data:
            inputs['clip.index'] = data['index']
        if are_several(self.layout_name):
            inputs[NOTE] = self.layout.name
        return {'inputs': inputs, 'data_samples': data.get('labels')}

    def _read_layout(self, name: str | None) -> None:
        """Read the layout that a batch names."""
        if are_several(self.layout_name):
            self._layout = None if name is None else get_layout(name)
        elif name not in (None, self.layout_name):
            raise ConfigError(f'the clips have layout {name!r}, but the model was built for {self.layout_name!r}')

    def draw_views(
        self, clips: Tensor, marked: bool = False, native: Mapping[str, Tensor] | None = None
    ) -> 'dict[str, View]':
        """The training views of this process's part ``(B, C, T, V, M)`` of the global batch.

        Args:
            clips, marked: see :class:`View`.
            native: the entries of the batch for clips at their native length.
        """
        if self._iteration is None or self._seed is None:
            raise ConfigError(
                'a training batch came without begin_iteration(seed, iteration), so its augmentations would repeat; '
                'keep default_hooks.randomness=dict(type="RandomnessHook") in the config'
            )
        draws = partial(generator, self._seed, self._iteration)
        views, drawn = {'clip': View(clips, marked)}, self._draw_ahead(clips, draws)
        for name, ops in self.ops.items():
            source = views[self.sources[name]]
            view = View(source.clips, marked, source.native, sought=name in self.within.values())
            for op_name, op in ops.items():
                place, frames = (name, op_name), clips.shape[2] if op.native else view.frames(op.on)
                if self._frames.get(place) != frames:
                    self._frames[place] = frames
                    drawn[place] = moved_values(self._draw(op, draws(*place), clips, frames), clips.device)
                params = drawn[place]
                if op.native:
                    params = self._cut(op, params, view, views.get(self.within.get(name, '')), native or {}, place)
                elif op.reads_marks and view.marked and op.on != 'stream':
                    params = {**params, 'seen': view.clips[:, -1:] > 0.5}
                if op.on == 'stream':
                    view.late.append((op, params))
                else:
                    view.clips = self._augmented(op, params, view.clips)
                view.notes.update(op.notes(params, view.frames(op.on)))
            views[name] = view
        self._iteration = None
        del views['clip']
        return {name: view for name, view in views.items() if view.native is None}

    def _draw_ahead(self, clips: Tensor, draws: Callable[..., torch.Generator]) -> dict[tuple[str, str], Params]:
        """The parameters of all operations, by view and operation, brought to the device in one copy.

        An operation receives the number of frames that those before it leave. It is known from the batch before; for
        the first batch of a length nothing is drawn here.
        """
        if self._frames_of != clips.shape[2]:
            self._frames, self._frames_of = {}, clips.shape[2]
        drawn = {
            (view, op): self._draw(self.ops[view][op], draws(view, op), clips, frames)
            for (view, op), frames in self._frames.items()
        }
        there = iter(moved([value for params in drawn.values() for value in params.values()], clips.device))
        return {place: {name: next(there) for name in params} for place, params in drawn.items()}

    def _draw(self, op: Augment, draws: torch.Generator, clips: Tensor, frames: int) -> Params:
        """This process's rows of the parameters drawn for the global batch, in host memory."""
        rank, B, persons = get_rank(), len(clips), clips.shape[4]
        spec = ClipSpec(frames, self.layout, B * get_world_size(), num_coordinates(self.channels), persons)
        params = op.draw(spec, draws)
        return {name: value[rank * B : (rank + 1) * B] for name, value in params.items()}

    def _cut(
        self,
        op: Augment,
        params: Params,
        view: 'View',
        within: 'View | None',
        batch: Mapping[str, Tensor],
        place: tuple[str, str],
    ) -> Params:
        """The parameters of an operation on clips at their native length, with the frames that it may use.

        The view is brought to this length, and to the new one unless the operation keeps it.
        """
        if view.native is None:
            view.clips, view.native = self._native(batch, '.'.join(place))
        facts = dict(view.native)
        if not op.keeps_length:
            view.native = None
            if within is not None and within.piece is not None:
                facts['first'], facts['frames'] = within.piece
            view.piece = op.located(view.clips, params | facts) if view.sought else None
        return params | facts

    def _native(self, batch: Mapping[str, Tensor], op: str) -> tuple[Tensor, Params]:
        """The clips of a batch at their native length, and what an operation must know of them."""
        if 'native' not in batch:
            raise ConfigError(
                f'data_preprocessor.views.{op} reads clips at their native length, which the batch lacks: build the '
                f'data set with dataset.native=True'
            )
        frames, missing = batch['frames'], batch.get('native_missing')
        clips = _marked(batch['native'], missing)
        return clips, {'frames': frames} if missing is None else {'frames': frames, 'seen': ~missing[:, None]}

    def _to_model(self, view: 'View') -> Any:
        streams = {}
        for stream in self.streams:
            derive = partial(derive_stream, stream=stream, layout=self.layout)
            clips, seen = (view.clips[:, :-1], view.clips[:, -1:] > 0.5) if view.marked else (view.clips, None)
            x = self._on_coordinates(derive, clips)
            if seen is not None and stream != 'joint':  # a missing joint stays where the pipeline put it, on the body
                x = x * seen_in_stream(seen, stream, self.layout)
            for op, params in view.late:
                x = self._augmented(op, params, x)
            streams[stream] = x.permute(0, 4, 1, 2, 3).contiguous()
        return streams[self.stream] if isinstance(self.stream, str) else streams

    def _augmented(self, op: Augment, params: Params, x: Tensor) -> Tensor:
        def change(x: Tensor) -> Tensor:
            return op.apply(x, params, partial(partner_rows, x))

        return self._on_coordinates(change, x) if op.coordinates_only else change(x)

    def _on_coordinates(self, change: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        D = num_coordinates(self.channels)
        return change(x) if x.shape[1] == D else torch.cat([change(x[:, :D]), x[:, D:]], dim=1)


def _marked(clips: Tensor, missing: Tensor | None) -> Tensor:
    """Clips ``(B, C, T, V, M)``; where joints are missing with one channel more, 1 where a joint was seen."""
    return clips if missing is None else torch.cat([clips, (~missing[:, None]).to(clips)], dim=1)
