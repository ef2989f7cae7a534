"""Clips whose files name their joints: brought into the order of a layout, or the layout made of names and bones."""

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skeattn.errors import ConfigError, DataError, shorten
from skeattn.skeletons import LAYOUTS, SkeletonLayout, describe_layout, get_layout

# Motion capture calls a joint by the bone that it moves; the layouts call it by its place.
_BONES = {
    'hips': 'pelvis', 'up_leg': 'hip', 'leg': 'knee', 'foot': 'ankle', 'toe_base': 'foot',
    'shoulder': 'collar', 'arm': 'shoulder', 'fore_arm': 'elbow', 'hand': 'wrist',
}  # fmt: skip
_WORD = re.compile(r'[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+')
_SIDES = {'l': 'left', 'left': 'left', 'r': 'right', 'right': 'right'}
_LIMBS = {
    'arm': ('collar', 'clavicle', 'shoulder', 'arm', 'elbow', 'wrist', 'hand', 'finger', 'thumb'),
    'leg': ('hip', 'leg', 'thigh', 'femur', 'knee', 'shin', 'calf', 'tibia', 'ankle', 'foot', 'toe', 'heel'),
}
_PARTS = ('trunk', 'right_arm', 'left_arm', 'right_leg', 'left_leg')


@dataclass(frozen=True)
class NamedClip:
    """A clip with what its file tells of its joints.

    Args:
        keypoint: ``(M, T, V, C)``.
        channels: names of the C values.
        joints: names of the V joints; empty where the file has none.
        parents: for each joint its parent, the root its own; None where the file has no bones.
        ids: ``(M, T)`` numbers of persons who are listed frame by frame.
        usual: the layout of joints without names.
        prefix: of the name of a layout that is made of the file's joints.
    """

    keypoint: np.ndarray
    channels: tuple[str, ...]
    joints: tuple[str, ...] = ()
    parents: tuple[int, ...] | None = None
    ids: np.ndarray | None = None
    usual: str | None = None
    prefix: str = 'own'

    def layout(self, source: str) -> SkeletonLayout:
        """The layout of the joints: one of the toolbox with the same names, else one made of names and bones.

        Args:
            source: for messages.

        Raises:
            ConfigError: the file names no joints and their number is none of a known layout, or has no bones.
        """
        if not self.joints and self.usual is not None:
            return get_layout(self.usual)
        names = {canonical(joint) for joint in self.joints}
        for layout in LAYOUTS.values():
            shipped = describe_layout(layout) == layout.name
            if shipped and len(self.joints) == layout.num_joints and {*map(canonical, layout.joints)} == names:
                return layout
        if self.parents is not None:
            return derive_layout(self.joints, self.parents, self.prefix)
        what = f'joints {shorten(self.joints)}' if self.joints else f'{self.keypoint.shape[2]} joints'
        raise ConfigError(
            f'{source}: the clips have the {what}, which are those of no known layout; name their layout by --layout '
            'NAME or FILE.json (docs/datasets/layouts.md shows such a file; it may leave out joints)'
        )


def read_in_order(
    read: Callable[[Any], NamedClip], layout: SkeletonLayout, channels: tuple[str, ...], content: Any
) -> tuple[np.ndarray, np.ndarray | None]:
    """Keypoint ``(M, T, V, C)`` of a clip in the order of a layout, and the numbers of its persons.

    Raises:
        DataError: the clip cannot be read, lacks joints of the layout, or has other channels.
    """
    clip = read(content)
    if clip.channels != channels:
        raise DataError(f'the values of a joint are {", ".join(clip.channels)}, those before {", ".join(channels)}')
    if not clip.joints:
        return clip.keypoint, clip.ids
    return clip.keypoint[:, :, find_joints(clip.joints, layout)], clip.ids


def canonical(name: str) -> str:
    """A joint's name in lower case with its side first: ``left_knee`` for ``LeftKnee``, ``L_Knee`` or ``knee.l``."""
    words = [word.lower() for word in _WORD.findall(name.rsplit(':', 1)[-1])]
    side = next((_SIDES[word] for word in words if word in _SIDES), None)
    if side is None and words:
        side = next((side for side in ('left', 'right') if words[0].startswith(side)), None)
        words[0] = words[0].removeprefix(side or '')
    rest = [word for word in words if word not in _SIDES and word]
    return '_'.join([side, *rest] if side else rest)


def _placed(joints: Sequence[str]) -> list[str]:
    """Canonical names, those of motion capture by the place of the joint."""
    names = [canonical(joint) for joint in joints]
    if 'left_up_leg' not in names:
        return names
    renamed = []
    for name in names:
        side = next((side for side in ('left_', 'right_') if name.startswith(side)), '')
        renamed.append(side + _BONES.get(name.removeprefix(side), name.removeprefix(side)))
    return renamed


def find_joints(joints: Sequence[str], layout: SkeletonLayout) -> list[int]:
    """For each joint of the layout the index of the file's joint of that name.

    Names are compared as they are, else regardless of capitals, separators and the spelling of sides, else by the
    places of joints that are called by bones (``LeftForeArm``: ``left_elbow``).

    Raises:
        DataError: the file lacks some.
    """
    wanted = [canonical(joint) for joint in layout.joints]
    spellings = [
        (list(joints), list(layout.joints)),
        ([canonical(joint) for joint in joints], wanted),
        (_placed(joints), wanted),
    ]
    for names, targets in spellings:
        if all(names.count(target) == 1 for target in targets):
            return [names.index(target) for target in targets]
    known = {name for names, _ in spellings for name in names}
    missing = [joint for joint, name in zip(layout.joints, wanted, strict=True) if not {joint, name} & known]
    missing = missing or [joint for joint, name in zip(layout.joints, wanted, strict=True)]
    raise DataError(
        f'layout {layout.name} has the joints {shorten(missing)}, which the file lacks or has twice; it has '
        f'{shorten(joints, most=6)}'
    )


def tree_of(V: int, edges: Sequence[tuple[int, int]]) -> tuple[int, ...] | None:
    """The parents of V joints in the tree that spans edges (parent, child) from the first; None if they leave any out.

    Raises:
        IndexError: an edge names no joint.
    """
    if not edges:
        return None
    near: list[list[int]] = [[] for _ in range(V)]
    for a, b in edges:
        near[a].append(b)
        near[b].append(a)
    parents = {edges[0][0]: edges[0][0]}
    for joint in (order := [edges[0][0]]):
        for other in near[joint]:
            if other not in parents:
                parents[other] = joint
                order.append(other)
    return tuple(parents[joint] for joint in range(V)) if len(parents) == V else None


def derive_layout(joints: Sequence[str], parents: Sequence[int], prefix: str) -> SkeletonLayout:
    """A layout of joints and bones, in which sides, limbs, hip and shoulders are found by name.

    Its name holds a hash of both, so that equal skeletons of several sets are one layout.

    Raises:
        ConfigError: no two joints are left and right of each other, or the bones are no tree.
    """
    names = _placed(joints)
    index = {name: i for i, name in enumerate(names)}
    pairs = [(i, index[f'right_{name[5:]}']) for i, name in enumerate(names)
             if name.startswith('left_') and index.get(name) == i and f'right_{name[5:]}' in index]  # fmt: skip
    if not pairs:
        raise ConfigError(
            f'no two of the joints {shorten(joints, most=6)} are left and right of each other by their names; define '
            'their layout in a file, --layout FILE.json (docs/datasets/layouts.md)'
        )

    def pair(*roots: str) -> tuple[int, int] | None:
        return next((one for root in roots for one in pairs if names[one[0]] == f'left_{root}'), None)

    shoulders = pair('shoulder', 'arm', 'upper_arm', 'collar', 'clavicle') or pairs[0]
    root = next(i for i, parent in enumerate(parents) if parent == i)
    hip: Any = next((index[name] for name in ('pelvis', 'hips', 'hip') if name in index), pair('hip') or root)
    upper: Any = next((index[name] for name in ('neck', 'thorax', 'chest') if name in index), shoulders)
    digest = hashlib.sha256(json.dumps([list(joints), list(parents)]).encode()).hexdigest()[:6]
    return get_layout(
        {
            'name': f'{prefix}{len(joints)}_{digest}',
            'joints': list(joints),
            'parents': list(parents),
            'mirror': pairs,
            'parts': _parts(names, parents),
            'hip': hip,
            'spine': (hip, upper),
            'shoulders': shoulders,
        }
    )


def _parts(names: Sequence[str], parents: Sequence[int]) -> dict[str, list[int]]:
    """Arms, legs and trunk; a joint whose name tells neither side nor limb goes with its parent."""

    def part(joint: int) -> str:
        side = next((side for side in ('left', 'right') if names[joint].startswith(f'{side}_')), None)
        limb = next((limb for limb, words in _LIMBS.items() if any(word in names[joint] for word in words)), None)
        if side and limb:
            return f'{side}_{limb}'
        return 'trunk' if parents[joint] == joint or limb else part(parents[joint])

    members = [part(joint) for joint in range(len(names))]
    return {name: [j for j, own in enumerate(members) if own == name] for name in _PARTS if name in members}
