"""One definition per skeleton; graph, streams, part mixing, alignment and drawing all derive from it.

A joint number written anywhere else in the toolbox is a defect.
"""

from dataclasses import dataclass, field

from skeattn.errors import ConfigError


@dataclass(frozen=True)
class SkeletonLayout:
    """The joints of a skeleton and what they mean.

    All numbers are 0-based joint indices.

    Args:
        name: registry name, for example ``'ntu25'``.
        joints: joint names in index order.
        parents: for each joint the joint it hangs on; the root hangs on itself. One tree.
        mirror: (left, right) pairs exchanged by a left-right flip; joints in no pair lie on the midline.
        parts: named groups of joints that part mixing exchanges; disjoint, together all joints.
        hip: centre of the hips.
        spine: (lower, upper) joints of the trunk axis, which points up on a standing person.
        shoulders: (left, right) shoulder joints; right minus left is the body's x axis.

    Raises:
        ConfigError: an index is out of range, the parents are not one tree, or the parts do not cover the joints.
    """

    name: str
    joints: tuple[str, ...]
    parents: tuple[int, ...]
    mirror: tuple[tuple[int, int], ...]
    parts: dict[str, tuple[int, ...]] = field(hash=False)
    hip: int
    spine: tuple[int, int]
    shoulders: tuple[int, int]

    def __post_init__(self) -> None:
        V = len(self.joints)
        used = [*self.parents, *sum(self.mirror, ()), self.hip, *self.spine, *self.shoulders]
        if len(self.parents) != V or not all(0 <= j < V for j in used):
            raise ConfigError(f'layout {self.name!r}: every joint needs one parent, every index lies in 0..{V - 1}')
        roots = [j for j, parent in enumerate(self.parents) if parent == j]
        if len(roots) != 1 or any(self._depth(j) is None for j in range(V)):
            raise ConfigError(f'layout {self.name!r}: parents must form one tree; its root is its own parent')
        if sorted(sum(self.parts.values(), ())) != list(range(V)):
            raise ConfigError(f'layout {self.name!r}: parts must hold every joint exactly once')
        if len(set(sum(self.mirror, ()))) != 2 * len(self.mirror):
            raise ConfigError(f'layout {self.name!r}: a joint stands in two mirror pairs')

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
        """(child, parent) pairs, V - 1 of them: the root has none."""
        return tuple((j, parent) for j, parent in enumerate(self.parents) if parent != j)

    @property
    def mirrored(self) -> tuple[int, ...]:
        """For each joint the joint on the other side of the body (itself on the midline)."""
        order = list(range(self.num_joints))
        for left, right in self.mirror:
            order[left], order[right] = right, left
        return tuple(order)

    def joint(self, name: str | int) -> int:
        """Index of a joint given by name, by index, or as ``'root'`` or ``'hip'``.

        Raises:
            ConfigError: no such joint.
        """
        if isinstance(name, int) and 0 <= name < self.num_joints:
            return name
        named = {'root': self.root, 'hip': self.hip, **{joint: i for i, joint in enumerate(self.joints)}}
        if name not in named:
            raise ConfigError(f'layout {self.name!r} has no joint {name!r}; it has {", ".join(map(str, named))}')
        return named[name]


LAYOUTS: dict[str, SkeletonLayout] = {}


def register_layout(layout: SkeletonLayout, force: bool = False) -> SkeletonLayout:
    """Make a layout known by its name to configs and packed sets.

    Raises:
        ConfigError: the name is taken by a different layout and ``force`` is not set.
    """
    if not force and LAYOUTS.get(layout.name, layout) != layout:
        raise ConfigError(f'a layout named {layout.name!r} exists already; choose another name or pass force=True')
    LAYOUTS[layout.name] = layout
    return layout


def get_layout(name: str | SkeletonLayout) -> SkeletonLayout:
    """The registered layout of that name (a layout is returned as it is).

    Raises:
        ConfigError: no layout of that name.
    """
    if isinstance(name, SkeletonLayout):
        return name
    if name not in LAYOUTS:
        raise ConfigError(f'unknown skeleton layout {name!r}; known: {", ".join(sorted(LAYOUTS))}')
    return LAYOUTS[name]


# Kinect v2 as in NTU RGB+D and PKU-MMD; hand tips hang on the thumbs, as in the released bone stream.
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
            'trunk': (0, 1, 2, 3, 20),
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

# Kinect v1 SDK order, as in NW-UCLA; UTD-MHAD is permuted into it by its converter.
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
