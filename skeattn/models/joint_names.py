"""Joints known by the words of their names, so that one encoder reads several layouts, also ones it never saw."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from skeattn.errors import ConfigError
from skeattn.skeletons import SYNONYMS, SkeletonLayout, get_layout

Layout = str | Mapping[str, Any] | SkeletonLayout
NOTE = 'clip.layout'
"""Name under which the preprocessor passes on the layout of a batch."""


def are_several(layout: Any) -> TypeGuard[Sequence[Layout]]:
    """Whether ``layout`` of a config is a list: joints are then known by name."""
    return isinstance(layout, list | tuple)


def words_of(joint: str) -> tuple[str, ...]:
    """The words of a joint's name in lower case; a joint with several names (``SYNONYMS``) has those of the last.

    Words are separated by any other character, between a letter and a digit, or by a capital: ``left_knee``,
    ``Left Knee`` and ``leftKnee`` are ``left`` and ``knee``, ``spine1`` is ``spine`` and ``1``.
    """
    name = next((group[-1] for group in SYNONYMS if joint in group), joint)
    return tuple(re.findall(r'[^\W\d_]+|\d+', re.sub(r'(?<=[a-z])(?=[A-Z])', '_', name).lower()))


def vocabulary(layouts: Sequence[SkeletonLayout]) -> tuple[str, ...]:
    """All words of the joints of some layouts, sorted."""
    return tuple(sorted({word for layout in layouts for joint in layout.joints for word in words_of(joint)}))


def check_words(layout: SkeletonLayout, known: Sequence[SkeletonLayout]) -> None:
    """Refuse a layout that an encoder of other layouts cannot read.

    Args:
        layout: of the clips.
        known: the layouts whose words the encoder learns.

    Raises:
        ConfigError: a joint has a word that none of the known layouts has, or two joints have the same words.
    """
    words, names = {*vocabulary(known)}, ', '.join(one.name for one in known)
    unknown = {word: [joint for joint in layout.joints if word in words_of(joint)] for word in vocabulary([layout])}
    listed = [f'{word!r} ({", ".join(joints)})' for word, joints in unknown.items() if word not in words]
    if listed:
        raise ConfigError(
            f'layout {layout.name!r} has words in the names of its joints that the encoder does not know: '
            f'{", ".join(listed)}. It knows those of {names}: pre-train with a layout that has these words in the list '
            f'"layout" of the config, or leave the joints out by a step dataset.pipeline.to_layout=dict('
            f'type="ToLayout", layout=..., before="centre")'
        )
    joints_of: dict[frozenset[tuple[str, int]], list[str]] = {}
    for joint in layout.joints:
        joints_of.setdefault(frozenset(Counter(words_of(joint)).items()), []).append(joint)
    for joints in joints_of.values():
        if len(joints) > 1:
            raise ConfigError(f'layout {layout.name!r}: {" and ".join(joints)} have the same words; rename a joint')


class JointNames(nn.Module):
    """A vector for each joint of the layout that is read: the sum of learnt vectors of the words of its name.

    A joint is therefore known wherever its words are, whatever its number: also in a layout that was never seen.

    Args:
        channels: D.
        layouts: those whose words are learnt.

    Attributes:
        layouts: the same as :class:`~skeattn.skeletons.SkeletonLayout`.
        words: the words, sorted; column i of ``table`` ``(D, W)`` is the vector of word i.

    Raises:
        ConfigError: no or an unknown layout, or two joints of one have the same words.
    """

    def __init__(self, channels: int, layouts: Sequence[Layout]) -> None:
        super().__init__()
        self.layouts = tuple(map(get_layout, layouts))
        if not self.layouts:
            raise ConfigError('layout=[] lists no skeleton layout; name at least one')
        for layout in self.layouts:
            check_words(layout, self.layouts)
        self.words = vocabulary(self.layouts)
        self.table = nn.Parameter(torch.empty(channels, len(self.words)).normal_(std=0.02))
        self._layout: SkeletonLayout | None = None
        self._read: Tensor | None = None
        self._counts: dict[tuple[SkeletonLayout, torch.device, torch.dtype], Tensor] = {}
        if len(self.layouts) == 1:
            self.read(self.layouts[0])

    @property
    def layout(self) -> SkeletonLayout:
        """The layout of the clips that are read next.

        Raises:
            ConfigError: several are known, and :meth:`read` has chosen none.
        """
        if self._layout is None:
            raise self._undecided()
        return self._layout

    def _undecided(self) -> ConfigError:
        names = ', '.join(layout.name for layout in self.layouts)
        return ConfigError(
            f'the encoder reads the layouts {names}; choose that of the clips first, read_layout(model, layout)'
        )

    def read(self, layout: Layout) -> None:
        """Choose the layout of the next clips; any whose words are known.

        Raises:
            ConfigError: see :func:`check_words`.
        """
        layout = get_layout(layout)
        if layout != self._layout:
            check_words(layout, self.layouts)
            self._layout = layout
        key = (layout, self.table.device, self.table.dtype)
        if key not in self._counts:  # copied to the device once
            counts = torch.tensor([[words_of(joint).count(word) for joint in layout.joints] for word in self.words])
            self._counts[key] = counts.to(self.table)
        self._read = self._counts[key]

    def forward(self) -> Tensor:
        """The vectors of the joints, ``(D, 1, V)``; a ConfigError as of :attr:`layout`."""
        if self._read is None:
            raise self._undecided()
        return (self.table @ self._read.to(self.table))[:, None]


def read_layout(model: nn.Module, layout: Layout | None) -> None:
    """Let all parts of a model that know joints by name read a layout; None changes nothing.

    Raises:
        ConfigError: see :func:`check_words`.
    """
    if layout is None:
        return
    for module in model.modules():
        if isinstance(module, JointNames):
            module.read(layout)


def clips_to_embed(model: Any, data: dict[str, Any]) -> Any:
    """The view ``clip`` of a batch of the data set, whose layout the model reads from now on."""
    inputs = model.data_preprocessor(data, training=False)['inputs']
    read_layout(model, inputs.get(NOTE))
    return inputs['clip']
