"""An articulated body: segment angles in, the 25 joints of the ``ntu25`` layout out (forward kinematics)."""

from dataclasses import dataclass

import numpy as np

from skeattn.skeletons import get_layout

LAYOUT = get_layout('ntu25')

# Rigid segments, each with its parent segment; limbs exist on both sides.
SEGMENTS: dict[str, str | None] = {
    'pelvis': None, 'spine': 'pelvis', 'chest': 'spine', 'head': 'chest',
    'right_arm': 'chest', 'right_forearm': 'right_arm', 'right_hand': 'right_forearm',
    'left_arm': 'chest', 'left_forearm': 'left_arm', 'left_hand': 'left_forearm',
    'right_thigh': 'pelvis', 'right_shank': 'right_thigh', 'right_foot': 'right_shank',
    'left_thigh': 'pelvis', 'left_shank': 'left_thigh', 'left_foot': 'left_shank',
}  # fmt: skip
SEGMENT_INDEX = {name: i for i, name in enumerate(SEGMENTS)}


def _signs(segment: str) -> tuple[float, float, float]:
    """Turns (flex, side, twist) into right-handed rotations about x, z, y of a body that faces -z, x to its right.

    Flex is forward; side is outward for limbs, to the right for the trunk; twist is inward for limbs, to the left
    for the trunk.
    """
    if segment.startswith('right'):
        return 1, 1, 1
    return (1, -1, -1) if segment.startswith('left') else (-1, -1, 1)


_SIGNS = np.array([_signs(segment) for segment in SEGMENTS])


@dataclass(frozen=True)
class Body:
    """Lengths in metres of one person; constant over all their clips."""

    shank: float
    thigh: float
    hips: float
    waist: float
    torso: float
    neck: float
    skull: float
    shoulders: float
    upper_arm: float
    forearm: float
    hand: float
    foot: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> 'Body':
        """Draw a person of random height (1.5 to 1.95 m) and proportions."""
        height = rng.uniform(1.5, 1.95)
        build = np.exp(rng.normal(0, 0.07, len(_PROPORTIONS)))
        # Legs against trunk and arms as a whole vary more between people than one bone against its neighbour.
        groups = np.exp(rng.normal(0, 0.06, 3))[[0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 0]]
        return cls(*(height * np.array(_PROPORTIONS) * build * groups))

    def joints(self, angles: np.ndarray) -> np.ndarray:
        """Joint positions of a body standing at the origin, its lowest joint on the ground.

        Args:
            angles: ``(T, S, 3)`` flex, side and twist in radians of every segment, relative to its parent segment.

        Returns:
            ``(T, V, 3)`` metres; y up, facing -z when the pelvis is not turned.
        """
        rotations = _chain(_rotations(angles))
        joints = np.zeros((len(angles), LAYOUT.num_joints, 3))
        for joint, parent, segment, offset in self._skeleton():
            turned = rotations[:, SEGMENT_INDEX[segment]] @ np.array(offset)
            joints[:, LAYOUT.joint(joint)] = joints[:, LAYOUT.joint(parent)] + turned
        joints[..., 1] -= joints[..., 1].min(axis=1, keepdims=True)
        return joints

    def _skeleton(self) -> list[tuple[str, str, str, tuple[float, float, float]]]:
        """(joint, the joint it is measured from, segment that carries it, offset in the upright body)."""
        trunk = [
            ('spine_mid', 'spine_base', 'spine', (0, self.waist, 0)),
            ('spine_upper', 'spine_mid', 'chest', (0, self.torso, 0)),
            ('neck', 'spine_upper', 'head', (0, self.neck, 0)),
            ('head', 'neck', 'head', (0, self.skull, -0.1 * self.skull)),
        ]
        return trunk + self._limbs('right', 1) + self._limbs('left', -1)

    def _limbs(self, side: str, x: int) -> list[tuple[str, str, str, tuple[float, float, float]]]:
        arm, forearm, palm = f'{side}_arm', f'{side}_forearm', f'{side}_hand'
        thigh, shank, foot = f'{side}_thigh', f'{side}_shank', f'{side}_foot'
        return [
            (f'{side}_shoulder', 'spine_upper', 'chest', (x * self.shoulders, -0.2 * self.shoulders, 0)),
            (f'{side}_elbow', f'{side}_shoulder', arm, (0, -self.upper_arm, 0)),
            (f'{side}_wrist', f'{side}_elbow', forearm, (0, -self.forearm, 0)),
            (f'{side}_hand', f'{side}_wrist', palm, (0, -0.45 * self.hand, 0)),
            (f'{side}_hand_tip', f'{side}_wrist', palm, (0, -self.hand, 0)),
            (f'{side}_thumb', f'{side}_wrist', palm, (-0.3 * x * self.hand, -0.5 * self.hand, -0.2 * self.hand)),
            (f'{side}_hip', 'spine_base', 'pelvis', (x * self.hips, -0.5 * self.hips, 0)),
            (f'{side}_knee', f'{side}_hip', thigh, (0, -self.thigh, 0)),
            (f'{side}_ankle', f'{side}_knee', shank, (0, -self.shank, 0)),
            (f'{side}_foot', f'{side}_ankle', foot, (0, -0.5 * self.foot, -self.foot)),
        ]


# Share of the body height of each length of Body, in its order.
_PROPORTIONS = (0.246, 0.245, 0.05, 0.17, 0.14, 0.04, 0.09, 0.105, 0.172, 0.145, 0.1, 0.07)


def _rotations(angles: np.ndarray) -> np.ndarray:
    """``(T, S, 3)`` flex, side, twist to ``(T, S, 3, 3)`` matrices R_z(side) R_x(flex) R_y(twist)."""
    signed = angles * _SIGNS
    (cx, cz, cy), (sx, sz, sy) = np.moveaxis(np.cos(signed), -1, 0), np.moveaxis(np.sin(signed), -1, 0)
    matrix = [
        [cz * cy - sz * sx * sy, -sz * cx, cz * sy + sz * sx * cy],
        [sz * cy + cz * sx * sy, cz * cx, sz * sy - cz * sx * cy],
        [-cx * sy, sx, cx * cy],
    ]
    return np.moveaxis(np.array(matrix), (0, 1), (-2, -1))


def _chain(local: np.ndarray) -> np.ndarray:
    """Rotations relative to the parent segment to rotations relative to the room."""
    world = local.copy()
    for segment, parent in SEGMENTS.items():
        if parent is not None:
            world[:, SEGMENT_INDEX[segment]] = world[:, SEGMENT_INDEX[parent]] @ local[:, SEGMENT_INDEX[segment]]
    return world
