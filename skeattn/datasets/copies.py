"""Clips that hold the same recording, found by their content: exactly, or up to rounding.

The coordinates of the present persons are compared, in any order, without frames in which no person is present. A clip
that was padded or trimmed of empty frames, stored with fewer digits or under a different name equals the original.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator

import numpy as np

from skeattn.skeletons import SkeletonLayout

TOLERANCE = 0.005
"""Largest difference of a coordinate, in trunk lengths: 2.5 mm of a person, the loss of float16 and printed metres."""
QUARTERS = 4


class CopyFinder:
    """Receives clips one by one, keeps a few numbers of each, and returns groups of equal clips.

    Args:
        layout: of the clips.
    """

    def __init__(self, layout: SkeletonLayout) -> None:
        self.layout = layout
        self._digests: dict[bytes, list[int]] = defaultdict(list)
        self._by_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
        self._means: dict[int, np.ndarray] = {}
        self._tolerances: dict[int, float] = {}
        self._number = 0

    def add(self, keypoint: np.ndarray) -> None:
        """Add the next clip: its coordinates ``(M, T, V, D)``."""
        clip = canonical(keypoint)
        number, self._number = self._number, self._number + 1
        if not clip.size:
            return
        same = self._digests[hashlib.sha256(str(clip.shape).encode() + clip.tobytes()).digest()]
        same.append(number)
        if len(same) == 1:
            self._by_size[clip.shape[:2]].append(number)
            self._means[number] = _means(clip, self.layout)
            self._tolerances[number] = TOLERANCE * trunk_length(clip, self.layout)

    def groups(self, read: Callable[[int], np.ndarray]) -> list[list[int]]:
        """Numbers of equal clips, from 0 in the order of :meth:`add`; each group and the list ascend.

        Args:
            read: the coordinates ``(M, T, V, D)`` of a clip by its number.
        """
        groups = {numbers[0]: numbers for numbers in self._digests.values()}
        leader = {number: number for number in groups}
        for numbers in self._by_size.values():
            for i, j in self._near(np.array(numbers)):
                one, other = (_leader(leader, number) for number in (i, j))
                difference = np.abs(canonical(read(i)) - canonical(read(j))) if one != other else np.zeros(1)
                if one != other and difference.max() <= self._tolerances[i]:
                    first, second = sorted((one, other))
                    leader[second] = first
                    groups[first] = sorted(groups[first] + groups.pop(second))
        return sorted(numbers for numbers in groups.values() if len(numbers) > 1)

    def _near(self, numbers: np.ndarray) -> Iterator[tuple[int, int]]:
        """Pairs of clips whose means differ by no more than the tolerance, so that their coordinates may."""
        means = np.stack([self._means[number] for number in numbers])
        widest = np.ptp(means, axis=0).argmax()
        order = np.argsort(means[:, widest], kind='stable')
        numbers, means = numbers[order], means[order]
        column = means[:, widest]
        tolerances = np.array([self._tolerances[number] for number in numbers])
        rows = np.arange(len(numbers))
        for step in range(1, len(numbers)):
            rows = rows[rows + step < len(numbers)]
            rows = rows[column[rows + step] - column[rows] <= tolerances[rows]]
            if not len(rows):
                return
            equal = np.abs(means[rows + step] - means[rows]).max(axis=1) <= tolerances[rows]
            for row in rows[equal]:
                yield int(numbers[row]), int(numbers[row + step])


def canonical(keypoint: np.ndarray) -> np.ndarray:
    """``(M', T', V, D)``: present persons, sorted, without frames that have no person; NaN and -0 become 0."""
    clip = np.nan_to_num(keypoint, nan=0.0, posinf=0.0, neginf=0.0) + np.float32(0)
    present = clip.any(axis=(2, 3))
    clip = clip[present.any(axis=1)][:, present.any(axis=0)]
    if len(clip) < 2:
        return clip
    # By their mean positions, which rounding hardly moves.
    return clip[np.argsort(clip.sum(axis=(1, 2, 3), dtype=np.float64), kind='stable')]


def trunk_length(keypoint: np.ndarray, layout: SkeletonLayout) -> float:
    """Median length of the trunk over persons and frames in which its ends are present; 0 if they never are.

    Args:
        keypoint: coordinates ``(M, T, V, D)``.
        layout: of the clip.
    """
    lower, upper = (layout.locate(keypoint, end) for end in layout.spine)
    lengths = np.linalg.norm(upper - lower, axis=-1)[upper.any(axis=-1) & lower.any(axis=-1)]
    lengths = lengths[np.isfinite(lengths)]
    return float(np.median(lengths)) if len(lengths) else 0.0


def members(groups: Iterable[Iterable[int]]) -> dict[int, int]:
    """Clip -> number of its group."""
    return {clip: number for number, group in enumerate(groups) for clip in group}


def _means(clip: np.ndarray, layout: SkeletonLayout) -> np.ndarray:
    """Mean position of each part of the body in each quarter of the clip, over the persons."""
    quarters = [quarter for quarter in np.array_split(clip.mean(axis=0, dtype=np.float64), QUARTERS) if len(quarter)]
    means = np.stack([quarter.mean(axis=0) for quarter in quarters])
    parts = [list(joints) for joints in layout.parts.values() if joints]
    return np.stack([means[:, joints].mean(axis=1) for joints in parts]).ravel()


def _leader(leader: dict[int, int], number: int) -> int:
    while leader[number] != number:
        number = leader[number]
    return number
