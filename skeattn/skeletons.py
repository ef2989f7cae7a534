"""One definition per skeleton, from which graph, streams, part mixing, alignment and drawing are derived.

A joint number written anywhere else in the toolbox is a defect.
"""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from skeattn.errors import ConfigError

# A joint, or several joints whose mean is used: not every skeleton has a joint between the hips or the shoulders.
JointOrMean = int | tuple[int, ...]


@dataclass(frozen=True)
class SkeletonLayout:
    """The joints of a skeleton and their roles.

    All numbers are 0-based joint indices.

    Args:
        name: registry name, for example ``'ntu25'``.
        joints: joint names in index order.
        parents: for each joint its parent; the root is its own parent. One tree.
        mirror: (left, right) pairs exchanged by a left-right flip; joints in no pair lie on the midline.
        parts: named groups of joints that part mixing exchanges; disjoint, together all joints;
            TubeMask masks runs of them, in this order.
        hip: centre of the hips: a joint, or joints whose mean it is.
        spine: (lower, upper) end of the trunk axis, which points up on a standing person; each a joint or joints whose
            mean it is.
        shoulders: (left, right) shoulder joints; right minus left is the body's x axis.

    Raises:
        ConfigError: an index is out of range, two joints have the same name, the parents are not one tree, or the parts
            do not cover the joints.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    mirror: tuple[tuple[int, int], ...]
    parts: dict[str, tuple[int, ...]] = field(hash=False)
    hip: JointOrMean
    spine: tuple[JointOrMean, JointOrMean]
    shoulders: tuple[int, int]

    def __post_init__(self) -> None:
        V = len(self.joints)
        trunk = [(end,) if isinstance(end, int) else end for end in (self.hip, *self.spine)]
        indices = [*self.parents, *sum(self.mirror, ()), *sum(trunk, ()), *self.shoulders]
        if len(self.parents) != V or not all(0 <= j < V for j in indices) or not all(trunk):
            raise ConfigError(f'layout {self.name!r}: every joint needs one parent; indices must lie in 0..{V - 1}')
        if len(set(self.joints)) != V:
            raise ConfigError(f'layout {self.name!r}: two joints have the same name')
        roots = [j for j, parent in enumerate(self.parents) if parent == j]
        if len(roots) != 1 or any(self._depth(j) is None for j in range(V)):
            raise ConfigError(f'layout {self.name!r}: parents must form one tree; its root is its own parent')
        if sorted(sum(self.parts.values(), ())) != list(range(V)):
            raise ConfigError(f'layout {self.name!r}: parts must hold every joint exactly once')
        if len(set(sum(self.mirror, ()))) != 2 * len(self.mirror):
            raise ConfigError(f'layout {self.name!r}: a joint is in two mirror pairs')

    def _depth(self, joint: int) -> int | None:
        for depth in range(len(self.joints)):
            if self.parents[joint] == joint:
                return depth
            joint = self.parents[joint]
        return None

    @property
    def num_joints(self) -> int:
        """V, the number of joints."""
        return len(self.joints)

    @property
    def root(self) -> int:
        """The joint that is its own parent: centre of the graph, zero in the bone stream."""
        return next(j for j, parent in enumerate(self.parents) if parent == j)

    @property
    def bones(self) -> tuple[tuple[int, int], ...]:
        """(child, parent) pairs, V - 1 in number: the root has none."""
        return tuple((j, parent) for j, parent in enumerate(self.parents) if parent != j)

    @property
    def mirrored(self) -> tuple[int, ...]:
        """For each joint the joint on the other side of the body (itself on the midline)."""
        order = list(range(self.num_joints))
        for left, right in self.mirror:
            order[left], order[right] = right, left
        return tuple(order)

    def joint(self, name: str | int) -> JointOrMean:
        """Index of a joint given by name, by index, or as ``'root'`` or ``'hip'``, which can be several joints.

        Raises:
            ConfigError: the layout has no such joint.
        """
        if isinstance(name, int) and 0 <= name < self.num_joints:
            return name
        indices = {'root': self.root, 'hip': self.hip, **{joint: i for i, joint in enumerate(self.joints)}}
        if name not in indices:
            raise ConfigError(f'layout {self.name!r} has no joint {name!r}; it has {", ".join(map(str, indices))}')
        return indices[name]

    def locate(self, keypoint: np.ndarray, joint: JointOrMean) -> np.ndarray:
        """Values of a joint, or the mean over several.

        Args:
            keypoint: ``(..., V, C)``.
            joint: index, or indices.

        Returns:
            ``(..., C)``.
        """
        if isinstance(joint, int):
            return keypoint[..., joint, :]
        return np.asarray(keypoint[..., list(joint), :].mean(axis=-2))


LAYOUTS: dict[str, SkeletonLayout] = {}
# Kinect v1 and v2 have different names for the same joints of the trunk. Of no other names in the shipped layouts is it
# certain that they mean the same joint.
SYNONYMS = (('hip_centre', 'spine_base'), ('spine', 'spine_mid'), ('shoulder_centre', 'spine_upper'))


def register_layout(layout: SkeletonLayout, force: bool = False) -> SkeletonLayout:
    """Make a layout available by its name to configs and packed sets.

    Raises:
        ConfigError: a different layout has this name and ``force`` is not set.
    """
    if not force and LAYOUTS.get(layout.name, layout) != layout:
        raise ConfigError(f'a layout named {layout.name!r} exists already; choose another name or pass force=True')
    LAYOUTS[layout.name] = layout
    return layout


def get_layout(layout: str | Mapping[str, Any] | SkeletonLayout | Sequence[Any]) -> SkeletonLayout:
    """A layout by its name, or by its definition in a config or manifest; a defined layout is registered.

    Args:
        layout: a registered name; a dict with the arguments of :class:`SkeletonLayout`, joints given by name or index;
            or a layout, which is returned unchanged.

    Raises:
        ConfigError: no layout has this name; a definition is incomplete or inconsistent; or a different layout has its
            name; or several layouts are given.
    """
    if isinstance(layout, SkeletonLayout):
        return layout
    if isinstance(layout, list | tuple):
        raise ConfigError(
            f'layout={[*layout]} are several, but only an encoder that knows joints by name reads several '
            f'(SkeletonTransformer); name one layout'
        )
    if isinstance(layout, Mapping):
        return register_layout(_from_definition(layout))
    if not isinstance(layout, str) or layout not in LAYOUTS:
        names = ', '.join(sorted(LAYOUTS))
        raise ConfigError(f'unknown skeleton layout {layout!r} (layout at the top of the config); known: {names}')
    return LAYOUTS[layout]


def corresponding(source: SkeletonLayout, target: SkeletonLayout) -> tuple[int, ...]:
    """For each joint of the target, the joint of the source with the same name or a synonym (:data:`SYNONYMS`).

    Raises:
        ConfigError: the source lacks joints of the target; names them and both layouts.
    """
    matches = [next((joint for joint in _synonyms(name) if joint in source.joints), None) for name in target.joints]
    missing = [name for name, joint in zip(target.joints, matches, strict=True) if joint is None]
    if missing:
        raise ConfigError(
            f'layout {target.name!r} has joints that layout {source.name!r} lacks: {", ".join(missing)}; clips of '
            f'{source.name!r} cannot be converted to {target.name!r}'
        )
    return tuple(source.joints.index(joint) for joint in matches if joint is not None)


def _synonyms(joint: str) -> tuple[str, ...]:
    """A joint's name, followed by its other names."""
    return (joint, *(name for group in SYNONYMS if joint in group for name in group if name != joint))


def describe_layout(layout: SkeletonLayout) -> str | dict[str, Any]:
    """The argument by which :func:`get_layout` restores a layout: the name of a shipped one, else the definition."""
    return layout.name if _SHIPPED.get(layout.name) == layout else asdict(layout)


def _from_definition(definition: Mapping[str, Any]) -> SkeletonLayout:
    """The layout of a dict in which joints are given by name or index."""
    keys, expected = set(definition), {item.name for item in fields(SkeletonLayout)}
    if keys != expected:
        fault = ', '.join(f'{key} is missing' for key in sorted(expected - keys))
        fault = fault or f'{", ".join(map(str, keys - expected))} is not one of {", ".join(sorted(expected))}'
        raise ConfigError(f'layout={definition.get("name")!r} has no valid definition: {fault}')

    def index_of(joint: Any) -> int:
        if isinstance(joint, str) and joint not in joints:
            raise ConfigError(f'layout={definition["name"]!r} has no joint {joint!r}; it has {", ".join(joints)}')
        return joints.index(joint) if isinstance(joint, str) else operator.index(joint)

    def index_or_indices(joint: Any) -> JointOrMean:
        return tuple(map(index_of, joint)) if isinstance(joint, (list, tuple)) else index_of(joint)

    try:
        joints = tuple(map(str, definition['joints']))
        return SkeletonLayout(
            name=str(definition['name']),
            joints=joints,
            parents=tuple(map(index_of, definition['parents'])),
            mirror=tuple((index_of(left), index_of(right)) for left, right in definition['mirror']),
            parts={str(part): tuple(map(index_of, members)) for part, members in definition['parts'].items()},
            hip=index_or_indices(definition['hip']),
            spine=(index_or_indices(definition['spine'][0]), index_or_indices(definition['spine'][1])),
            shoulders=(index_of(definition['shoulders'][0]), index_of(definition['shoulders'][1])),
        )
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        name = definition['name']
        raise ConfigError(f'layout={name!r} has no valid definition by joint names or numbers: {error}') from error


# Kinect v2 as in NTU RGB+D and PKU-MMD; the thumbs are the parents of the hand tips, as in the released bones.
register_layout(
    SkeletonLayout(
        name='ntu25',
        joints=(
            'spine_base', 'spine_mid', 'neck', 'head',
            'left_shoulder', 'left_elbow', 'left_wrist', 'left_hand',
            'right_shoulder', 'right_elbow', 'right_wrist', 'right_hand',
            'left_hip', 'left_knee', 'left_ankle', 'left_foot',
            'right_hip', 'right_knee', 'right_ankle', 'right_foot',
            'spine_upper', 'left_hand_tip', 'left_thumb', 'right_hand_tip', 'right_thumb',
        ),
        parents=(1, 20, 20, 2, 20, 4, 5, 6, 20, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18, 20, 22, 7, 24, 11),
        mirror=((4, 8), (5, 9), (6, 10), (7, 11), (12, 16), (13, 17), (14, 18), (15, 19), (21, 23), (22, 24)),
        parts={
            'trunk': (0, 1, 20, 2, 3),
            'right_arm': (8, 9, 10, 11, 23, 24),
            'left_arm': (4, 5, 6, 7, 21, 22),
            'right_leg': (16, 17, 18, 19),
            'left_leg': (12, 13, 14, 15),
        },
        hip=0,
        spine=(0, 20),
        shoulders=(4, 8),
    )
)  # fmt: skip

# Kinect v1 SDK order, as in NW-UCLA; the converter of UTD-MHAD permutes joints into it.
register_layout(
    SkeletonLayout(
        name='kinect20',
        joints=(
            'hip_centre', 'spine', 'shoulder_centre', 'head',
            'left_shoulder', 'left_elbow', 'left_wrist', 'left_hand',
            'right_shoulder', 'right_elbow', 'right_wrist', 'right_hand',
            'left_hip', 'left_knee', 'left_ankle', 'left_foot',
            'right_hip', 'right_knee', 'right_ankle', 'right_foot',
        ),
        parents=(1, 2, 2, 2, 2, 4, 5, 6, 2, 8, 9, 10, 0, 12, 13, 14, 0, 16, 17, 18),
        mirror=((4, 8), (5, 9), (6, 10), (7, 11), (12, 16), (13, 17), (14, 18), (15, 19)),
        parts={
            'trunk': (0, 1, 2, 3),
            'right_arm': (8, 9, 10, 11),
            'left_arm': (4, 5, 6, 7),
            'right_leg': (16, 17, 18, 19),
            'left_leg': (12, 13, 14, 15),
        },
        hip=0,
        spine=(0, 2),
        shoulders=(4, 8),
    )
)  # fmt: skip

# COCO's joints in its order, as from detectors. Hip centre and neck are missing: each is the mean of two joints. The
# tree is the usual one of skeleton recognition, from the nose over the shoulders down.
register_layout(
    SkeletonLayout(
        name='coco17',
        joints=(
            'nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear',
            'left_shoulder', 'right_shoulder', 'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist',
            'left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle', 'right_ankle',
        ),
        parents=(0, 0, 0, 1, 2, 0, 0, 5, 6, 7, 8, 5, 6, 11, 12, 13, 14),
        mirror=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
        parts={
            'trunk': (0, 1, 2, 3, 4),
            'right_arm': (6, 8, 10),
            'left_arm': (5, 7, 9),
            'right_leg': (12, 14, 16),
            'left_leg': (11, 13, 15),
        },
        hip=(11, 12),
        spine=((11, 12), (5, 6)),
        shoulders=(5, 6),
    )
)  # fmt: skip

# OpenPose's COCO model: the 17 joints in a different order, right before left, and a neck, which is the root.
register_layout(
    SkeletonLayout(
        name='openpose18',
        joints=(
            'nose', 'neck', 'right_shoulder', 'right_elbow', 'right_wrist', 'left_shoulder', 'left_elbow', 'left_wrist',
            'right_hip', 'right_knee', 'right_ankle', 'left_hip', 'left_knee', 'left_ankle',
            'right_eye', 'left_eye', 'right_ear', 'left_ear',
        ),
        parents=(1, 1, 1, 2, 3, 1, 5, 6, 2, 8, 9, 5, 11, 12, 0, 0, 14, 15),
        mirror=((5, 2), (6, 3), (7, 4), (11, 8), (12, 9), (13, 10), (15, 14), (17, 16)),
        parts={
            'trunk': (0, 1, 14, 15, 16, 17),
            'right_arm': (2, 3, 4),
            'left_arm': (5, 6, 7),
            'right_leg': (8, 9, 10),
            'left_leg': (11, 12, 13),
        },
        hip=(11, 8),
        spine=((11, 8), 1),
        shoulders=(5, 2),
    )
)  # fmt: skip

# The 17 joints of Human3.6M that 3-D pose estimators output, as a tree from the pelvis.
register_layout(
    SkeletonLayout(
        name='h36m17',
        joints=(
            'pelvis', 'right_hip', 'right_knee', 'right_ankle', 'left_hip', 'left_knee', 'left_ankle',
            'spine', 'thorax', 'neck', 'head',
            'left_shoulder', 'left_elbow', 'left_wrist', 'right_shoulder', 'right_elbow', 'right_wrist',
        ),
        parents=(0, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15),
        mirror=((4, 1), (5, 2), (6, 3), (11, 14), (12, 15), (13, 16)),
        parts={
            'trunk': (0, 7, 8, 9, 10),
            'right_arm': (14, 15, 16),
            'left_arm': (11, 12, 13),
            'right_leg': (1, 2, 3),
            'left_leg': (4, 5, 6),
        },
        hip=0,
        spine=(0, 8),
        shoulders=(11, 14),
    )
)  # fmt: skip

# MediaPipe Pose (BlazePose). As in COCO there is no joint between the hips or the shoulders, and the nose is the root.
# In the triangle of ankle, heel and foot index, the two sides at the ankle are bones.
register_layout(
    SkeletonLayout(
        name='mediapipe33',
        joints=(
            'nose', 'left_eye_inner', 'left_eye', 'left_eye_outer', 'right_eye_inner', 'right_eye', 'right_eye_outer',
            'left_ear', 'right_ear', 'left_mouth', 'right_mouth',
            'left_shoulder', 'right_shoulder', 'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist',
            'left_pinky', 'right_pinky', 'left_index', 'right_index', 'left_thumb', 'right_thumb',
            'left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle', 'right_ankle',
            'left_heel', 'right_heel', 'left_foot_index', 'right_foot_index',
        ),
        parents=(
            0, 0, 1, 2, 0, 4, 5, 3, 6, 0, 0,
            0, 0, 11, 12, 13, 14, 15, 16, 15, 16, 15, 16,
            11, 12, 23, 24, 25, 26, 27, 28, 27, 28,
        ),
        mirror=(
            (1, 4), (2, 5), (3, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16), (17, 18), (19, 20), (21, 22),
            (23, 24), (25, 26), (27, 28), (29, 30), (31, 32),
        ),
        parts={
            'trunk': (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10),
            'right_arm': (12, 14, 16, 18, 20, 22),
            'left_arm': (11, 13, 15, 17, 19, 21),
            'right_leg': (24, 26, 28, 30, 32),
            'left_leg': (23, 25, 27, 29, 31),
        },
        hip=(23, 24),
        spine=((23, 24), (11, 12)),
        shoulders=(11, 12),
    )
)  # fmt: skip

# The joints of SMPL, its kinematic tree from the pelvis.
register_layout(
    SkeletonLayout(
        name='smpl24',
        joints=(
            'pelvis', 'left_hip', 'right_hip', 'spine1', 'left_knee', 'right_knee', 'spine2', 'left_ankle',
            'right_ankle', 'spine3', 'left_foot', 'right_foot', 'neck', 'left_collar', 'right_collar', 'head',
            'left_shoulder', 'right_shoulder', 'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist',
            'left_hand', 'right_hand',
        ),
        parents=(0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19, 20, 21),
        mirror=(
            (1, 2), (4, 5), (7, 8), (10, 11), (13, 14), (16, 17), (18, 19), (20, 21), (22, 23),
        ),
        parts={
            'trunk': (0, 3, 6, 9, 12, 15),
            'right_arm': (14, 17, 19, 21, 23),
            'left_arm': (13, 16, 18, 20, 22),
            'right_leg': (2, 5, 8, 11),
            'left_leg': (1, 4, 7, 10),
        },
        hip=0,
        spine=(0, 12),
        shoulders=(16, 17),
    )
)  # fmt: skip

# OpenPose's default model: neck and middle of the hips are joints of their own, the feet have three each. In the
# triangle of ankle, big toe and heel the two sides at the ankle are bones; the small toe is joined to the big one.
register_layout(
    SkeletonLayout(
        name='body25',
        joints=(
            'nose', 'neck', 'right_shoulder', 'right_elbow', 'right_wrist', 'left_shoulder', 'left_elbow', 'left_wrist',
            'mid_hip', 'right_hip', 'right_knee', 'right_ankle', 'left_hip', 'left_knee', 'left_ankle',
            'right_eye', 'left_eye', 'right_ear', 'left_ear',
            'left_big_toe', 'left_small_toe', 'left_heel', 'right_big_toe', 'right_small_toe', 'right_heel',
        ),
        parents=(1, 1, 1, 2, 3, 1, 5, 6, 1, 8, 9, 10, 8, 12, 13, 0, 0, 15, 16, 14, 19, 14, 11, 22, 11),
        mirror=(
            (5, 2), (6, 3), (7, 4), (12, 9), (13, 10), (14, 11), (16, 15), (18, 17), (19, 22), (20, 23), (21, 24),
        ),
        parts={
            'trunk': (0, 1, 8, 15, 16, 17, 18),
            'right_arm': (2, 3, 4),
            'left_arm': (5, 6, 7),
            'right_leg': (9, 10, 11, 22, 23, 24),
            'left_leg': (12, 13, 14, 19, 20, 21),
        },
        hip=8,
        spine=(8, 1),
        shoulders=(5, 2),
    )
)  # fmt: skip

# The 15 joints of OpenNI, as SBU Kinect Interaction lists them. There is no joint between the hips; legs and arms hang
# on the torso and the neck.
register_layout(
    SkeletonLayout(
        name='sbu15',
        joints=(
            'head', 'neck', 'torso', 'left_shoulder', 'left_elbow', 'left_hand',
            'right_shoulder', 'right_elbow', 'right_hand', 'left_hip', 'left_knee', 'left_foot',
            'right_hip', 'right_knee', 'right_foot',
        ),
        parents=(1, 2, 2, 1, 3, 4, 1, 6, 7, 2, 9, 10, 2, 12, 13),
        mirror=((3, 6), (4, 7), (5, 8), (9, 12), (10, 13), (11, 14)),
        parts={
            'trunk': (0, 1, 2),
            'right_arm': (6, 7, 8),
            'left_arm': (3, 4, 5),
            'right_leg': (12, 13, 14),
            'left_leg': (9, 10, 11),
        },
        hip=(9, 12),
        spine=((9, 12), 1),
        shoulders=(3, 6),
    )
)  # fmt: skip

# Florence 3D Actions: the order of SBU, its ends named wrist and ankle, its middle spine.
register_layout(
    SkeletonLayout(
        name='florence15',
        joints=(
            'head', 'neck', 'spine', 'left_shoulder', 'left_elbow', 'left_wrist',
            'right_shoulder', 'right_elbow', 'right_wrist', 'left_hip', 'left_knee', 'left_ankle',
            'right_hip', 'right_knee', 'right_ankle',
        ),
        parents=(1, 2, 2, 1, 3, 4, 1, 6, 7, 2, 9, 10, 2, 12, 13),
        mirror=((3, 6), (4, 7), (5, 8), (9, 12), (10, 13), (11, 14)),
        parts={
            'trunk': (0, 1, 2),
            'right_arm': (6, 7, 8),
            'left_arm': (3, 4, 5),
            'right_leg': (12, 13, 14),
            'left_leg': (9, 10, 11),
        },
        hip=(9, 12),
        spine=((9, 12), 1),
        shoulders=(3, 6),
    )
)  # fmt: skip

# Kinect Activity Recognition Dataset (KARD): the joints of SBU in a different order, right before left.
register_layout(
    SkeletonLayout(
        name='kard15',
        joints=(
            'head', 'neck', 'right_shoulder', 'right_elbow', 'right_hand', 'left_shoulder', 'left_elbow', 'left_hand',
            'torso', 'right_hip', 'right_knee', 'right_foot', 'left_hip', 'left_knee', 'left_foot',
        ),
        parents=(1, 8, 1, 2, 3, 1, 5, 6, 8, 8, 9, 10, 8, 12, 13),
        mirror=((5, 2), (6, 3), (7, 4), (12, 9), (13, 10), (14, 11)),
        parts={
            'trunk': (0, 1, 8),
            'right_arm': (2, 3, 4),
            'left_arm': (5, 6, 7),
            'right_leg': (9, 10, 11),
            'left_leg': (12, 13, 14),
        },
        hip=(12, 9),
        spine=((12, 9), 1),
        shoulders=(5, 2),
    )
)  # fmt: skip

_SHIPPED = dict(LAYOUTS)
