"""The conditions of a clip that do not depend on its class: one draw per clip, before the class is used."""

from dataclasses import dataclass

import numpy as np

from skeattn.datasets.synthetic.body import SEGMENT_INDEX, SEGMENTS, Body

# How far (degrees, standard deviation) a resting segment strays: as a person's habit, and from clip to clip.
_STRAY = {
    'pelvis': (2, 4, 3), 'spine': (6, 4, 5), 'chest': (6, 4, 5), 'head': (10, 7, 12),
    'arm': (14, 9, 18), 'forearm': (22, 3, 12), 'hand': (14, 9, 10),
    'thigh': (9, 5, 7), 'shank': (9, 1, 3), 'foot': (8, 4, 4),
}  # fmt: skip
_UPRIGHT = {'spine': (6, 0, 0), 'arm': (2, 10, 10), 'forearm': (18, 0, 0), 'shank': (-6, 0, 0), 'thigh': (3, 3, 0)}
STRAY = np.deg2rad([_STRAY[name.split('_')[-1]] for name in SEGMENTS])
UPRIGHT = np.deg2rad([_UPRIGHT.get(name.split('_')[-1], (0, 0, 0)) for name in SEGMENTS])


@dataclass(frozen=True)
class Person:
    """Build, habits and style of one person.

    Args:
        body: bone lengths.
        posture: ``(S, 3)`` radians, the resting angles.
        amplitude: how far the person moves, relative to the written key poses.
        tempo: how fast.
    """

    body: Body
    posture: np.ndarray
    amplitude: float
    tempo: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> 'Person':
        body = Body.draw(rng)
        posture = UPRIGHT + STRAY * rng.normal(0, 0.4, (len(SEGMENTS), 3))
        return cls(body, posture, amplitude=rng.uniform(0.85, 1.2), tempo=np.exp(rng.normal(0, 0.15)))


@dataclass(frozen=True)
class Stance:
    """How a person carries themselves in one clip, ``(T, S, 3)`` radians, and how strongly they act."""

    angles: np.ndarray
    amplitude: float
    walk: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator, person: Person, frames: int) -> 'Stance':
        shape = (len(SEGMENTS), 3)
        still = person.posture + STRAY * rng.normal(0, 0.4, shape)
        lean = np.zeros(shape)
        lean[SEGMENT_INDEX['pelvis']] = np.deg2rad(rng.normal(0, (16, 14, 0)))
        sway = STRAY * 0.15 * slow_noise(rng, frames, shape, 25)
        walk = np.cumsum(0.006 * slow_noise(rng, frames, (3,), 25), axis=0) * (1, 0, 1)
        return cls(still + lean + sway, person.amplitude * np.exp(rng.normal(0, 0.08)), walk)


@dataclass(frozen=True)
class Conditions:
    """Length, timing, place and view of one clip.

    Args:
        frames: length of the clip at 30 frames a second.
        onset: share of the clip before the motion starts.
        active: share of the clip that the motion fills.
        repetitions: how often a motion that returns to its start is repeated in that time.
        facing: heading of the actor in radians, 0 towards the middle camera.
        role: whether the actor of a two-person motion is listed first.
        camera: yaw, pitch and roll of the camera in radians.
        place: where the actor stands before the camera, metres.
    """

    frames: int
    onset: float
    active: float
    repetitions: int
    facing: float
    role: bool
    camera: np.ndarray
    place: np.ndarray

    @classmethod
    def draw(cls, rng: np.random.Generator, yaw: float, height: float, tempo: float) -> 'Conditions':
        frames = int(rng.integers(40, 121))
        active = rng.uniform(0.55, 0.9)
        onset = rng.uniform(0, 1 - active)
        period = rng.uniform(30, 66) / tempo
        repetitions = int(np.clip(round(active * frames / period), 1, 3))
        distance = rng.uniform(2.2, 3.8)
        # A camera that hangs higher looks down on its subject.
        pitch = np.arctan2(height - 0.9, distance) + rng.normal(0, np.deg2rad(12))
        return cls(
            frames, onset, active, repetitions,
            facing=rng.uniform(-1.2, 1.2),
            role=bool(rng.random() < 0.5),
            camera=np.array([yaw + rng.normal(0, 0.05), pitch, rng.normal(0, np.deg2rad(10))]),
            place=np.array([rng.uniform(-0.5, 0.5), 0, distance]),
        )  # fmt: skip

    def phase(self, rng: np.random.Generator, repeats: bool) -> np.ndarray:
        """Phase of the motion in every frame: 0 before the onset, then running (unevenly) to 1 once or repeatedly."""
        clock = (np.arange(self.frames) / (self.frames - 1) - self.onset) / self.active
        running = np.clip(clock, 0, 1)
        warped = running + 0.06 * np.sin(2 * np.pi * (running + rng.random())) * np.sin(np.pi * running)
        if not repeats:
            return np.clip(warped, 0, 1)
        cycles = np.clip(warped, 0, 1) * self.repetitions
        return np.where(cycles < self.repetitions, cycles % 1, 1.0)


def slow_noise(rng: np.random.Generator, frames: int, shape: tuple[int, ...], period: float) -> np.ndarray:
    """Smooth random curves ``(frames, *shape)`` of unit variance that turn about every ``period`` frames."""
    knots = rng.normal(size=(int(frames / period) + 5, *shape))
    at = np.arange(frames) / period + rng.random()
    left = at.astype(int)
    t = (at - left).reshape(-1, *(1 for _ in shape))
    # Cubic B-spline over random knots: as smooth as a body sways.
    weights = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    return sum(w / 6 * knots[left + k] for k, w in enumerate(weights)) / 0.7
