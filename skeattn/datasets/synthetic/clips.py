"""From (seed, number) to a clip, and from clips to a packed set or raw files."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from skeattn.datasets.synthetic.body import LAYOUT
from skeattn.datasets.synthetic.conditions import Conditions, Person, Stance
from skeattn.datasets.synthetic.motions import MOTIONS, Motion, angles
from skeattn.datasets.synthetic.raw import FIRST_ID, write_skeleton_file
from skeattn.datasets.synthetic.sensor import disturb, miss, seen_from
from skeattn.datasets.writer import PackedWriter
from skeattn.errors import ConfigError

CLASSES = tuple(motion.name for motion in MOTIONS)
# Numbered so that NTU's own cross-subject list splits them the same way when the raw files are converted as NTU.
SUBJECTS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14)
CAMERAS = {1: np.deg2rad(-45), 2: 0.0, 3: np.deg2rad(45)}
HEIGHTS = (0.6, 1.0, 1.5, 2.0)
# Above NTU's setups, so that no name is on its list of clips without skeletons.
FIRST_SETUP = 101
SPLITS = {
    'xsub': {'field': 'subject', 'train': [1, 2, 4, 5, 8, 9, 13, 14]},
    'xview': {'field': 'camera', 'train': [2, 3]},
}
_PLAN, _PERSON, _SCENE, _ACT, _SENSOR = range(5)


@dataclass(frozen=True)
class SyntheticClip:
    """One generated clip.

    Args:
        name: ``SsssCcccPpppRrrrAaaa``, as in NTU RGB+D.
        keypoint: ``(M, T, V, 3)`` float32 metres in camera coordinates, bodies in the order a tracker lists them;
            an absent body is zero.
        bodies: ``(M, T)`` the person listed in each place, -1 for none.
    """

    name: str
    keypoint: np.ndarray
    bodies: np.ndarray
    label: int
    subject: int
    camera: int
    setup: int
    replication: int


def generate(seed: int = 0, clips: int = 1200) -> Iterator[SyntheticClip]:
    """Clips 0 to ``clips - 1``; clip i depends on (seed, i) only, so a smaller set is the beginning of a larger one.

    Raises:
        ConfigError: ``seed`` or ``clips`` is negative, or ``clips`` exceeds the number of names.
    """
    if seed < 0 or not 0 <= clips <= MOST:
        raise ConfigError(f'synthetic set: seed={seed} and clips={clips} must lie in 0.. and 0..{MOST}')
    people = {subject: Person.draw(np.random.default_rng((seed, _PERSON, subject))) for subject in SUBJECTS}
    pairs, start = _plan(seed)
    for i in range(clips):
        yield _clip(seed, i, people, pairs, start)


def _plan(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Every (subject, camera) pair in random order, and the position where each class starts."""
    rng = np.random.default_rng((seed, _PLAN))
    pairs = np.array([(subject, camera) for subject in SUBJECTS for camera in CAMERAS])
    return rng.permutation(pairs), rng.permutation(len(pairs))[: len(CLASSES)]


_PAIRS = len(SUBJECTS) * len(CAMERAS)
MOST = len(CLASSES) * _PAIRS * 2 * 224


def _clip(seed: int, i: int, people: dict[int, Person], pairs: np.ndarray, start: np.ndarray) -> SyntheticClip:
    """One clip of every class makes a round; in 36 rounds each class meets each subject before each camera once."""
    turn, label = divmod(i, len(CLASSES))
    subject, camera = pairs[(turn + start[label]) % _PAIRS].tolist()
    replication = 1 + turn // _PAIRS % 2
    scene = np.random.default_rng((seed, _SCENE, i))
    height = int(scene.integers(len(HEIGHTS)))
    setup = FIRST_SETUP + height + len(HEIGHTS) * (turn // (2 * _PAIRS))
    conditions = Conditions.draw(scene, CAMERAS[camera], HEIGHTS[height], people[subject].tempo)
    persons = [people[subject], Person.draw(scene)]
    stances = [Stance.draw(scene, person, conditions.frames) for person in persons]
    joints = _act(np.random.default_rng((seed, _ACT, i)), MOTIONS[label], conditions, persons, stances)
    keypoint, bodies = _observe(np.random.default_rng((seed, _SENSOR, i)), joints, conditions)
    name = f'S{setup:03}C{camera:03}P{subject:03}R{replication:03}A{label + 1:03}'
    return SyntheticClip(name, keypoint, bodies, label, subject, camera, setup, replication)


def _act(rng: np.random.Generator, motion: Motion, conditions: Conditions, persons: list[Person],
         stances: list[Stance]) -> np.ndarray:  # fmt: skip
    """Joints ``(M, T, V, 3)`` in the room: the actor at the origin, a partner opposite."""
    phase = conditions.phase(rng, repeats=motion.returns)
    tracks = [motion.keys] if motion.partner is None else [motion.keys, motion.partner]
    joints = []
    for number, (keys, person, stance) in enumerate(zip(tracks, persons, stances, strict=False)):
        late = np.interp(np.arange(len(phase)) - 1.5 * number, np.arange(len(phase)), phase) if number else phase
        turns = stance.angles + stance.amplitude * angles(keys, late)
        pose = person.body.joints(turns)
        # Two people act on the line between them, which is seen from the side.
        heading = conditions.facing + (np.pi / 2 if len(tracks) == 2 else 0) + np.pi * number
        c, s = np.cos(heading), np.sin(heading)
        pose = pose @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]]) + stance.walk[:, None]
        away = motion.apart * np.array([-s, 0, -c]) * (-0.5 if len(tracks) == 2 else 0)
        joints.append(pose + away)
    if len(joints) == 2 and conditions.role:
        joints.reverse()
    return np.stack(joints)


def _observe(rng: np.random.Generator, joints: np.ndarray, conditions: Conditions) -> tuple[np.ndarray, np.ndarray]:
    seen = seen_from(joints, conditions.camera, conditions.place)
    noisy = np.stack([disturb(rng, body) for body in seen])
    detected, swapped = miss(rng, noisy.shape[1], 2)
    return _listed(noisy.astype(np.float32), detected[: len(noisy)], swapped)


def _listed(keypoint: np.ndarray, detected: np.ndarray, swapped: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bodies in the order a tracker's file would list them: the detected ones, without gaps."""
    M, T = keypoint.shape[:2]
    listed, bodies = np.zeros_like(keypoint), np.full((M, T), -1)
    for t in range(T):
        order = [m for m in (range(M - 1, -1, -1) if swapped[t] else range(M)) if detected[m, t]]
        listed[: len(order), t] = keypoint[order, t]
        bodies[: len(order), t] = order
    return listed, bodies


def convert(
    out: str | PathLike[str],
    seed: int = 0,
    clips: int = 1200,
    raw: str | PathLike[str] | None = None,
    overwrite: bool = False,
    progress: Callable[..., Iterable[Any]] | None = None,
) -> Path:
    """Write the set as a packed set and, on request, as raw files that the NTU converter reads.

    Args:
        out: folder of the packed set.
        seed, clips: see :func:`generate`.
        raw: folder for one ``.skeleton`` file per clip; created, files of the same name are replaced.
        overwrite: replace a packed set at ``out``.
        progress: wraps the iteration: ``progress(items, what, total=...)``, as :func:`skeattn.progress.progress`.

    Returns:
        ``out``.

    Raises:
        DataError: ``out`` exists and ``overwrite`` is not set.
        ConfigError: ``seed`` or ``clips`` out of range.
    """
    source: Iterable[SyntheticClip] = generate(seed, clips)
    if progress is not None:
        source = progress(source, 'generating clips', total=clips)
    with PackedWriter(out, 'demo', LAYOUT, CLASSES, SPLITS, overwrite=overwrite) as writer:
        if raw is not None:
            Path(raw).mkdir(parents=True, exist_ok=True)
        for clip in source:
            writer.add(
                clip.name, clip.keypoint, label=clip.label, subject=clip.subject, camera=clip.camera,
                setup=clip.setup, replication=clip.replication,
            )  # fmt: skip
            if raw is not None:
                write_skeleton_file(Path(raw) / f'{clip.name}.skeleton', clip.keypoint, FIRST_ID + clip.bodies)
    return Path(out)
