"""Choose which bodies listed by a sensor become the persons of a clip.

A depth sensor lists any number of bodies per frame, each with a tracking id: the actors, but also furniture mistaken
for people, and an actor again under a new id after the tracker lost them. NTU RGB+D does not mark the actors.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

MAX_PERSONS = 2
# A noise body, by the field's convention: a track too short to be an actor, or wider than a person is tall.
SHORTEST_TRACK = 12
WIDEST, WIDE_FRAMES = 0.8, 0.7


@dataclass(frozen=True)
class Bodies:
    """All bodies listed in a clip of ``num_frames`` frames, one row per body and frame, in file order.

    Args:
        num_frames: T, frames without a body included.
        frame: (B,) the frame, ascending.
        place: (B,) the place in the frame's list.
        ids: B tracking ids as text. They have 17 digits, more than a float64 can distinguish.
        joints: (B, V, 3) metres, float64.
    """

    num_frames: int
    frame: np.ndarray
    place: np.ndarray
    ids: list[str]
    joints: np.ndarray

    def tracks(self) -> dict[tuple[str, int], np.ndarray]:
        """The rows of each body over the frames, keyed by its id; an id listed twice in a frame makes two tracks."""
        rows: dict[tuple[str, int], list[int]] = {}
        frame, again = -1, dict[str, int]()
        for row, (at, body) in enumerate(zip(self.frame.tolist(), self.ids, strict=True)):
            if at != frame:
                frame, again = at, {}
            again[body] = again.get(body, -1) + 1
            rows.setdefault((body, again[body]), []).append(row)
        return {track: np.array(numbers) for track, numbers in rows.items()}


def file_order(bodies: Bodies, most: int = MAX_PERSONS) -> np.ndarray:
    """The first ``most`` bodies that each frame lists, regardless of identity.

    As released by CrosSCLR, AimCLR, HiCLR, SkeleMixCLR and SkeAttnCLR: no tracking, selection or denoising, so that
    persons can change places between frames.

    Returns:
        ``(M, T, V, 3)`` float32 with M up to ``most``; zero where no body was listed.
    """
    kept = bodies.place < most
    return _filled(bodies, bodies.place[kept], kept)


def motion(bodies: Bodies, most: int = MAX_PERSONS) -> np.ndarray:
    """The ``most`` bodies that move most, each followed by its tracking id.

    The common practice of the released codebases, with the advice of the FAQ of NTU RGB+D (choose the actor by the
    summed variance of x, y and z; filter noise bodies by Y-spread over X-spread):

    * Tracks of 11 frames or fewer are noise.
    * Tracks whose x-spread over the joints exceeds 0.8 of the y-spread in more than 70 % of their frames are noise.
    * The others are ranked by motion: the variance over the track's frames of each of the 3 V coordinates, summed. So a
      body that stands still has none, regardless of its height.

    Where every track is noise by these rules, the filter is not applied, so that no clip is lost (our choice).

    Returns:
        ``(M, T, V, 3)`` float32 with M up to ``most``, the most moving first; zero where a body was not listed.
    """
    tracks = list(bodies.tracks().values())
    actors = [rows for rows in tracks if not is_noise(bodies.joints[rows])] or tracks
    # Stable: ties keep the order of listing.
    return _followed(bodies, sorted(actors, key=lambda rows: -bodies.joints[rows].var(axis=0).sum())[:most])


def track(bodies: Bodies, most: int = MAX_PERSONS) -> np.ndarray:
    """The ``most`` bodies that are listed in most frames, each followed by its tracking id; ties: first listed.

    Returns:
        ``(M, T, V, 3)`` float32 with M up to ``most``, the longest first; zero where a body was not listed.
    """
    return _followed(bodies, sorted(bodies.tracks().values(), key=lambda rows: -len(rows))[:most])


def _followed(bodies: Bodies, actors: list[np.ndarray]) -> np.ndarray:
    """A person per track."""
    person = np.concatenate([np.full(len(rows), number) for number, rows in enumerate(actors)])
    return _filled(bodies, person, np.concatenate(actors))


def is_noise(track: np.ndarray) -> bool:
    """Whether a track ``(T, V, 3)`` is too short or too wide to be a person's, see :func:`motion`."""
    if len(track) < SHORTEST_TRACK:
        return True
    spread = np.ptp(track, axis=1)
    return bool((spread[:, 0] > WIDEST * spread[:, 1]).mean() > WIDE_FRAMES)


def _filled(bodies: Bodies, person: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """The given rows at their frames, as float32."""
    keypoint = np.zeros((person.max() + 1, bodies.num_frames, *bodies.joints.shape[1:]), np.float32)
    keypoint[person, bodies.frame[rows]] = bodies.joints[rows]
    return keypoint


BODIES: dict[str, Callable[[Bodies, int], np.ndarray]] = {'file_order': file_order, 'motion': motion, 'track': track}


def count(bodies: Bodies, rule: str) -> int:
    """How many persons a clip has by a rule: places in a frame's list, or tracks."""
    return int(bodies.place.max()) + 1 if rule == 'file_order' else len(bodies.tracks())
