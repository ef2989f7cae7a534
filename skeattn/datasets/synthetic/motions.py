"""The classes: key poses over the phase of one execution, as segment angles added to the person's posture.

A pose maps a segment to (flex, side, twist) in degrees: flex forward, side outward (trunk: to the right), twist
inward (trunk: to the left). Segments that a pose omits keep their resting angles.
"""

from dataclasses import dataclass

import numpy as np

from skeattn.datasets.synthetic.body import SEGMENT_INDEX, SEGMENTS

Pose = dict[str, tuple[float, float, float]]
Keys = tuple[tuple[float, Pose], ...]
REST: Pose = {}


@dataclass(frozen=True)
class Motion:
    """One action class.

    Args:
        name: class name.
        keys: (phase in 0..1, pose) of the actor, first at 0, last at 1.
        partner: the same for the second person; None for single-person classes.
        apart: distance in metres at which two persons act.
        returns: whether the last pose is the first one again, so that the motion can be repeated.
    """

    name: str
    keys: Keys
    partner: Keys | None = None
    apart: float = 1.0

    @property
    def returns(self) -> bool:
        return self.keys[0][1] == self.keys[-1][1]


def angles(keys: Keys, phase: np.ndarray) -> np.ndarray:
    """Segment angles in radians, ``(T, S, 3)``, at ``phase`` ``(T,)``: eased from key pose to key pose."""
    times = np.array([time for time, _ in keys])
    poses = np.zeros((len(keys), len(SEGMENTS), 3))
    for k, (_, pose) in enumerate(keys):
        for segment, turn in pose.items():
            poses[k, SEGMENT_INDEX[segment]] = turn
    left = np.clip(np.searchsorted(times, phase, side='right') - 1, 0, len(keys) - 2)
    share = np.clip((phase - times[left]) / (times[left + 1] - times[left]), 0, 1)
    eased = (share * share * (3 - 2 * share))[:, None, None]
    return np.deg2rad(poses[left] * (1 - eased) + poses[left + 1] * eased)


def _mirror(pose: Pose) -> Pose:
    swap = {'right': 'left', 'left': 'right'}
    return {f'{swap[side]}_{part}': turn for (side, _, part), turn in ((s.partition('_'), t) for s, t in pose.items())}


def _both(pose: Pose) -> Pose:
    return pose | _mirror(pose)


def _beats(poses: list[Pose], times: int, start: float = 0.2, stop: float = 0.8) -> Keys:
    """Rest, then the poses in turn ``times`` times between the phases ``start`` and ``stop``, then rest."""
    beats = poses * times
    steps = np.linspace(start, stop, len(beats)).tolist()
    return ((0.0, REST), *zip(steps, beats, strict=True), (1.0, REST))


def _arm(flex: float, side: float, twist: float, elbow: float, wrist: float = 0) -> Pose:
    return {'right_arm': (flex, side, twist), 'right_forearm': (elbow, 0, 0), 'right_hand': (wrist, 0, 0)}


def _leg(thigh: float, knee: float, foot: float = 0, side: float = 0) -> Pose:
    return {'right_thigh': (thigh, side, 0), 'right_shank': (-knee, 0, 0), 'right_foot': (foot, 0, 0)}


def _trunk(pelvis: float = 0, spine: float = 0, chest: float = 0, twist: float = 0) -> Pose:
    return {'pelvis': (pelvis, 0, 0), 'spine': (spine, 0, twist / 2), 'chest': (chest, 0, twist / 2)}


_WAVE = [_arm(25, 45, -60, 95), _arm(25, 65, -95, 75)]
_SEATED = _both(_leg(80, 85, 5)) | _trunk(pelvis=-5, spine=8)
_SITTING = _both(_leg(65, 75, 15) | _arm(25, 5, 0, 20)) | _trunk(pelvis=25, spine=15)
_HIGH_FIVE: Keys = (
    (0, REST), (0.35, _arm(100, 15, -10, 60)), (0.45, _arm(125, 5, 0, 20)), (0.55, _arm(100, 15, 0, 50)), (1, REST),
)  # fmt: skip

MOTIONS: tuple[Motion, ...] = (
    Motion('wave right hand', _beats(_WAVE, 2)),
    Motion('wave left hand', _beats([_mirror(pose) for pose in _WAVE], 2)),
    Motion('clap', _beats([_both(_arm(40, 0, 40, 55)), _both(_arm(40, 25, -5, 60))], 3)),
    Motion('drink', (
        (0, REST), (0.3, _arm(45, 10, 35, 120, 10)), (0.45, _arm(60, 15, 40, 130, 25) | {'head': (-15, 0, 0)}),
        (0.6, _arm(60, 15, 40, 130, 25) | {'head': (-18, 0, 0)}), (1, REST),
    )),
    Motion('throw', (
        (0, REST), (0.4, _arm(-20, 75, -60, 95) | _trunk(spine=-8, twist=-25)),
        (0.55, _arm(110, 25, -20, 45) | _trunk(spine=8, twist=10)),
        (0.7, _arm(45, 0, 20, 10) | _trunk(spine=15, twist=25)), (1, REST),
    )),
    Motion('punch', _beats([_arm(70, 5, 10, 15) | _trunk(twist=12), _arm(10, 10, 0, 95), _mirror(_arm(70, 5, 10, 15)) |
                            _trunk(twist=-12), _mirror(_arm(10, 10, 0, 95))], 2)),
    Motion('kick', (
        (0, REST), (0.35, _leg(-25, 70)), (0.55, _leg(85, 10) | _trunk(spine=-8)), (0.75, _leg(20, 30)), (1, REST),
    )),
    Motion('march in place', _beats([_leg(65, 80) | _mirror(_arm(30, 0, 0, 25)), REST,
                                     _mirror(_leg(65, 80)) | _arm(30, 0, 0, 25), REST], 2, 0.1, 0.9)),
    Motion('squat', ((0, REST), (0.45, _both(_leg(75, 105, 30) | _arm(45, 0, 0, 0)) | _trunk(pelvis=20, spine=10)),
                     (0.55, _both(_leg(78, 110, 32) | _arm(48, 0, 0, 0)) | _trunk(pelvis=20, spine=10)), (1, REST))),
    Motion('sit down', ((0, REST), (0.5, _SITTING), (1, _SEATED))),
    Motion('stand up', ((0, _SEATED), (0.5, _SITTING), (1, REST))),
    Motion('bow', ((0, REST), (0.4, _trunk(pelvis=25, spine=20, chest=15) | _both(_leg(25, 0))),
                   (0.6, _trunk(pelvis=27, spine=22, chest=15) | _both(_leg(27, 0))), (1, REST))),
    Motion('jumping jack', _beats([_both(_arm(10, 120, 0, 10) | _leg(0, 0, 0, 22)), REST], 2, 0.2, 0.8)),
    Motion('shake hands', _beats([_arm(50, 0, 10, 30), _arm(30, 0, 10, 60)], 3),
           partner=_beats([_arm(50, 0, 10, 30), _arm(30, 0, 10, 60)], 3), apart=0.9),
    Motion('push', ((0, REST), (0.3, _both(_arm(15, 5, 0, 100))), (0.45, _both(_arm(75, 0, 10, 10)) | _trunk(spine=12)),
                    (0.6, _both(_arm(75, 0, 10, 10)) | _trunk(spine=10)), (1, REST)),
           partner=((0, REST), (0.4, REST), (0.5, _trunk(pelvis=-12, spine=-12) | _both(_arm(25, 25, 0, 20))),
                    (0.65, _leg(-25, 20) | _trunk(spine=5)), (1, REST)), apart=0.8),
    Motion('hug', ((0, REST), (0.35, _both(_arm(70, 25, 5, 20))), (0.5, _both(_arm(70, 5, 50, 60)) | _trunk(spine=10)),
                   (0.7, _both(_arm(68, 5, 52, 62)) | _trunk(spine=12)), (1, REST)),
           partner=((0, REST), (0.4, _both(_arm(40, 25, 5, 30))),
                    (0.55, _both(_arm(45, 5, 50, 70)) | _trunk(spine=10)),
                    (0.7, _both(_arm(48, 5, 50, 70)) | _trunk(spine=12)), (1, REST)), apart=0.5),
    Motion('high five', _HIGH_FIVE, partner=_HIGH_FIVE, apart=0.8),
)  # fmt: skip
