"""Choose the persons of a clip and their order.

An array has a row for each person. Pose estimators list persons frame by frame instead; the position in such a list
has no meaning, so that persons are first followed over the frames, by the estimator's numbers if any, otherwise by
nearest position.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from skeattn.channels import num_coordinates
from skeattn.datasets.missing import SCORES, present
from skeattn.errors import ConfigError

RULES = ('order', 'motion', 'score', 'track')
# A person more than half a body away from every last seen position is a new person.
FARTHEST = 0.5
UNKNOWN = -1


@dataclass(frozen=True)
class Choice:
    """A rule and a number of persons, as ``--persons`` and ``--max-persons`` set them.

    Args:
        rule: ``'order'``: as the source lists them. ``'motion'``: the most moving first, by the variance over the
            frames, summed over joints and axes. ``'score'``: the most certain first, by the mean score of the joints,
            summed over the frames. ``'track'``: identities over the frames, the longest first.
        most: number of persons kept; None keeps all of them.

    Raises:
        ConfigError: unknown rule, or ``most`` below 1.
    """

    rule: str = 'order'
    most: int | None = None

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ConfigError(f'persons={self.rule!r} (--persons) is not one of {", ".join(RULES)}')
        if self.most is not None and self.most < 1:
            raise ConfigError(f'max_persons={self.most} (--max-persons) must be 1 or more')

    def __str__(self) -> str:
        return f'{"all" if self.most is None else f"at most {self.most}"}, by {self.rule}'

    def apply(
        self, keypoint: np.ndarray, channels: Sequence[str], ids: np.ndarray | None = None
    ) -> tuple[np.ndarray, int]:
        """The persons of a clip that are kept.

        Args:
            keypoint: ``(M, T, V, C)``, missing joints marked as in :mod:`skeattn.datasets.missing`.
            channels: names of the C values.
            ids: ``(M, T)`` numbers of the persons that a source lists frame by frame, :data:`UNKNOWN` where it gives
                none; None if each row is a person.

        Returns:
            ``(M', T, V, C)`` without rows that are always empty (one empty row if all are), and the number of persons
            left out.

        Raises:
            ConfigError: the rule is ``'score'`` and there is no such channel.
        """
        visible = present(keypoint)
        if self.rule == 'track' or (ids is not None and self.rule != 'order'):
            unknown = np.full(visible.shape, UNKNOWN)
            keypoint = follow(keypoint, num_coordinates(channels), unknown if ids is None else ids)
            visible = present(keypoint)
        rows = np.flatnonzero(visible.any(axis=1))
        if not len(rows):
            return keypoint[:1], 0
        if self.rule != 'order':
            worth = _WORTH[self.rule](keypoint[rows], channels, visible[rows])
            rows = rows[np.argsort(-worth, kind='stable')]
        kept = rows[: self.most]
        unchanged = len(kept) == len(keypoint) and np.array_equal(kept, np.arange(len(kept)))
        return keypoint if unchanged else keypoint[kept], len(rows) - len(kept)


def follow(keypoint: np.ndarray, D: int, ids: np.ndarray) -> np.ndarray:
    """Persons listed frame by frame as tracks, in the order of their first frames.

    A number continues the track of that number (a second listing of it in the same frame is a different person).
    A person without a number continues the track last seen nearest, such that the sum of distances in a frame is
    minimal, unless that is more than :data:`FARTHEST` of a body's larger extent away.

    Args:
        keypoint: ``(M, T, V, C)``, of which the first D values are coordinates.
        D: number of coordinates.
        ids: ``(M, T)``.

    Returns:
        ``(tracks, T, V, C)``, zero where a track is absent.
    """
    visible = present(keypoint)
    coordinates = keypoint[..., :D].astype(float)
    numbered: dict[tuple[int, int], int] = {}
    last: list[np.ndarray] = []  # of each track, where it was last seen
    steps: list[tuple[int, int, int]] = []  # track, frame, place
    for frame in range(keypoint.shape[1]):
        places: list[int] = np.flatnonzero(visible[:, frame]).tolist()
        again: dict[int, int] = {}
        free, taken = [], set()
        for place in places:
            number = int(ids[place, frame])
            if number == UNKNOWN:
                free.append(place)
                continue
            again[number] = again.get(number, -1) + 1
            track = numbered.setdefault((number, again[number]), len(last))
            if track == len(last):
                last.append(coordinates[place, frame])
            steps.append((track, frame, place))
            taken.add(track)
        numbers = set(numbered.values())
        open_tracks = [track for track in range(len(last)) if track not in taken and track not in numbers]
        nearest = _nearest([last[track] for track in open_tracks], [coordinates[place, frame] for place in free])
        for i, place in enumerate(free):
            track = open_tracks[nearest[i]] if i in nearest else len(last)
            if track == len(last):
                last.append(coordinates[place, frame])
            steps.append((track, frame, place))
        for track, at, place in steps[len(steps) - len(places) :]:
            last[track] = coordinates[place, at]
    tracks = np.zeros((max(len(last), 1), *keypoint.shape[1:]), keypoint.dtype)
    for track, frame, place in steps:
        tracks[track, frame] = keypoint[place, frame]
    return tracks


def _nearest(seen: list[np.ndarray], bodies: list[np.ndarray]) -> dict[int, int]:
    """For bodies ``(V, D)`` that continue a track, its index."""
    from scipy.optimize import linear_sum_assignment  # slow to load, and only tracks need it

    if not seen or not bodies:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)  # bodies without a common joint
        a, b = np.stack(bodies)[:, None], np.stack(seen)[None]
        apart = np.nanmean(np.linalg.norm(a - b, axis=-1), axis=-1)
        middles = np.linalg.norm(np.nanmean(a, axis=2) - np.nanmean(b, axis=2), axis=-1)
        extent = np.fmax(*(np.nanmax(np.nanmax(x, axis=2) - np.nanmin(x, axis=2), axis=-1) for x in (a, b)))
    distance = np.where(np.isnan(apart), middles, apart)
    far = ~(distance <= FARTHEST * extent)
    cost = np.where(far, 1e9, np.nan_to_num(distance / np.where(extent > 0, extent, 1)))
    return {int(i): int(j) for i, j in zip(*linear_sum_assignment(cost), strict=True) if not far[i, j]}


def _motion(keypoint: np.ndarray, channels: Sequence[str], visible: np.ndarray) -> np.ndarray:
    coordinates = keypoint[..., : num_coordinates(channels)].astype(float)
    places = np.where(visible[..., None, None], coordinates, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)  # a joint that is missing throughout
        return np.asarray(np.nan_to_num(np.nanvar(places, axis=1)).sum(axis=(1, 2)))


def _score(keypoint: np.ndarray, channels: Sequence[str], visible: np.ndarray) -> np.ndarray:
    name = next((name for name in SCORES if name in channels), None)
    if name is None:
        raise ConfigError(
            f'persons="score" (--persons score) needs a channel score, but these clips have {", ".join(channels)}; '
            'choose order, motion or track'
        )
    return np.asarray(np.nan_to_num(keypoint[..., list(channels).index(name)]).mean(axis=2).sum(axis=1))


def _length(keypoint: np.ndarray, channels: Sequence[str], visible: np.ndarray) -> np.ndarray:
    return visible.sum(axis=1)


_WORTH: dict[str, Callable[[np.ndarray, Sequence[str], np.ndarray], np.ndarray]] = {
    'motion': _motion,
    'score': _score,
    'track': _length,
}
