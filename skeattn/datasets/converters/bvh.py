"""BVH motion capture: one .bvh file a clip, a hierarchy of joints and their rotations; labels.csv with a row for each

Joints are those of the file; end sites have no motion of their own and are left out. Positions follow from offsets and
rotations, and are in the unit of the file times ``scale``.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from skeattn.channels import AXES
from skeattn.datasets.converters.folder import ClipFolder
from skeattn.datasets.converters.members import Content
from skeattn.datasets.converters.named import NamedClip
from skeattn.errors import ConfigError, DataError
from skeattn.skeletons import SkeletonLayout

_CHANNELS = tuple(f'{axis}{kind}' for kind in ('position', 'rotation') for axis in AXES)


@dataclass
class Hierarchy:
    """The joints of a file, parents before children; a joint's channels are those of its columns."""

    joints: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    offsets: list[list[float]] = field(default_factory=list)
    channels: list[list[str]] = field(default_factory=list)


def parse(path: str, content: bytes) -> tuple[Hierarchy, np.ndarray]:
    """The hierarchy and the values ``(T, channels)`` of a file.

    Raises:
        DataError: it is no BVH file, or truncated.
    """
    text = content.decode('utf-8-sig', 'replace').replace('{', '\n{\n').replace('}', '\n}\n')
    lines = [words for line in text.splitlines() if (words := line.split())]
    motion = next((i for i, words in enumerate(lines) if words[0].upper() == 'MOTION'), None)
    if motion is None or lines[0][0].upper() != 'HIERARCHY':
        raise DataError(f'{path}: it is no BVH file, which has the parts HIERARCHY and MOTION')
    try:
        hierarchy = _hierarchy(lines[1:motion])
        rows = [words for words in lines[motion + 1 :] if words[0].upper() not in ('FRAMES:', 'FRAME')]
        values = np.array([[float(word) for word in words] for words in rows])
    except (ValueError, IndexError) as error:
        raise DataError(f'{path}: its hierarchy or motion is damaged ({error!r:.100})') from error
    width = sum(map(len, hierarchy.channels))
    if values.ndim != 2 or values.shape[1] != width:
        raise DataError(f'{path}: its frames should have {width} values each, one for each channel')
    return hierarchy, values


def _hierarchy(lines: Sequence[Sequence[str]]) -> Hierarchy:
    """The joints of the lines between HIERARCHY and MOTION.

    Raises:
        ValueError, IndexError: they are damaged.
    """
    tree = Hierarchy()
    open_: list[int | None] = []  # the joints whose braces are open, None for an end site
    following: int | None = None
    for words in lines:
        key = words[0].upper()
        if key in ('ROOT', 'JOINT'):
            if (key == 'ROOT') == bool(tree.joints):
                raise ValueError('it needs one ROOT, which is the first joint')
            following = len(tree.joints)
            tree.joints.append(' '.join(words[1:]))
            tree.parents.append(following if key == 'ROOT' else _joint(open_[-1]))
            tree.offsets.append([0.0] * 3)
            tree.channels.append([])
        elif key == 'END':
            following = None
        elif key == '{':
            open_.append(following)
        elif key == '}':
            open_.pop()
        elif key == 'OFFSET' and open_[-1] is not None:
            x, y, z = map(float, words[1:])
            tree.offsets[open_[-1]] = [x, y, z]
        elif key == 'CHANNELS':
            names = [word.lower() for word in words[2:]]
            if int(words[1]) != len(names) or not set(names) <= set(_CHANNELS) or len(set(names)) < len(names):
                raise ValueError(f'channels {" ".join(words[1:])}')
            tree.channels[_joint(open_[-1])] = names
        elif key != 'OFFSET':
            raise ValueError(f'a line starts with {words[0]}')
    if open_ or not tree.joints or len(set(tree.joints)) < len(tree.joints):
        raise ValueError('braces are open, or there is no joint, or two have the same name')
    return tree


def _joint(joint: int | None) -> int:
    if joint is None:
        raise ValueError('an end site has joints or channels')
    return joint


def positions(tree: Hierarchy, values: np.ndarray) -> np.ndarray:
    """Forward kinematics: the places of all joints, ``(T, V, 3)``.

    A joint's rotations apply in the order of its channels. A position channel takes the place of that value of the
    offset.

    Args:
        tree: the hierarchy.
        values: ``(T, channels)``, angles in degrees.
    """
    T, places, turned, column = len(values), [], [], 0
    for joint, (parent, offset, channels) in enumerate(zip(tree.parents, tree.offsets, tree.channels, strict=True)):
        move, turn = np.tile(np.array(offset), (T, 1)), np.tile(np.eye(3), (T, 1, 1))
        for channel in channels:
            axis, value = AXES.index(channel[0]), values[:, column]
            if channel.endswith('position'):
                move[:, axis] = value
            else:
                turn = turn @ _rotation(axis, value)
            column += 1
        if joint == parent:
            places.append(move)
            turned.append(turn)
        else:
            places.append(places[parent] + np.einsum('tij,tj->ti', turned[parent], move))
            turned.append(turned[parent] @ turn)
    return np.stack(places, axis=1)


def _rotation(axis: int, degrees: np.ndarray) -> np.ndarray:
    """Rotations about an axis, ``(T, 3, 3)``."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    matrix = np.zeros((len(degrees), 3, 3))
    matrix[:, axis, axis] = 1
    a, b = (axis + 1) % 3, (axis + 2) % 3
    matrix[:, a, a], matrix[:, a, b], matrix[:, b, a], matrix[:, b, b] = cos, -sin, sin, cos
    return matrix


def read_clip(content: Content, scale: float = 1.0) -> NamedClip:
    """Keypoint ``(1, T, V, 3)`` with the file's joints.

    Raises:
        DataError: the file is not of this format, or holds values that are no numbers.
    """
    ((path, text),) = content
    tree, values = parse(path, text)
    if not np.isfinite(values).all() or not np.isfinite(tree.offsets).all():
        raise DataError(f'{path}: it holds values that are no finite numbers')
    keypoint = positions(tree, values)[None] * scale
    return NamedClip(keypoint, AXES, tuple(tree.joints), tuple(tree.parents), prefix='bvh')


def convert(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    layout: str | os.PathLike[str] | SkeletonLayout | None = None,
    labels: str | os.PathLike[str] | None = None,
    classes: str | os.PathLike[str] | None = None,
    scale: float = 1.0,
    *,
    persons: str = 'order',
    max_persons: int | None = None,
    strict: bool = False,
    overwrite: bool = False,
) -> None:
    """Pack the clips, see :meth:`~skeattn.datasets.converters.folder.ClipFolder.convert`.

    Args:
        source: folder, searched through, or zip archive.
        out: the packed set's folder.
        layout: the skeleton; by default it is made of the file's joints. Joints are found by name.
        labels, classes, persons, max_persons, strict, overwrite: as there.
        scale: metres of a unit of the files, 0.01 for centimetres.

    Raises:
        DataError, ConfigError: as there; or ``scale`` is not positive.
    """
    if not 0 < scale < float('inf'):
        raise ConfigError(f'scale={scale} (--scale) must be positive, such as 0.01 for files in centimetres')
    folder = ClipFolder(('.bvh',), named=partial(read_clip, scale=scale))
    options = {'persons': persons, 'max_persons': max_persons, 'strict': strict, 'overwrite': overwrite}
    folder.convert(source, out, layout, labels, classes, **options)  # type: ignore[arg-type]
