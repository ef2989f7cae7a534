"""Training views clip by clip in numpy, in double precision from the shear on, as released data loaders draw them."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from skeattn.benchmark.reference.network import LAYOUT
from skeattn.skeletons import get_layout

UNIT, TAPS = 4, 15


def crop(clip: np.ndarray, start: int, padding: int) -> np.ndarray:
    """Mirror ``padding`` frames at both ends of a clip ``(C, T, V, M)``, then keep T frames from ``start``."""
    T = clip.shape[1]
    before, after = clip[:, :padding][:, ::-1], clip[:, T - padding :][:, ::-1]
    return np.concatenate([before, clip, after], axis=1)[:, start : start + T]


def shear(clip: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """``x' = A x`` for every joint."""
    return np.dot(clip.transpose(1, 2, 3, 0), matrix.T).transpose(3, 0, 1, 2)


def shear_matrix(factors: np.ndarray) -> np.ndarray:
    """Ones on the diagonal and six factors beside it, row by row."""
    matrix = np.ones((3, 3))
    matrix[~np.eye(3, dtype=bool)] = factors
    return matrix


def rotate(clip: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Turn a clip about x, then y, then z by angles in radians."""
    for axis, angle in enumerate(angles):
        c, s = np.cos(angle), np.sin(angle)
        first, second = ((1, 2), (2, 0), (0, 1))[axis]
        matrix = np.eye(3)
        matrix[first, first], matrix[first, second] = c, s
        matrix[second, first], matrix[second, second] = -s, c
        clip = shear(clip, matrix)
    return clip


def blur(clip: np.ndarray, sigma: float) -> np.ndarray:
    """Weighted sums over time, not normalised, by a convolution that is built for this clip."""
    C, T, V, M = clip.shape
    reach = TAPS // 2
    weights = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    conv = torch.nn.Conv1d(C, C, TAPS, padding=reach, groups=C, bias=False, dtype=torch.float64)
    conv.weight.data.copy_(torch.from_numpy(weights))
    with torch.no_grad():
        rows = torch.from_numpy(np.ascontiguousarray(clip.transpose(2, 3, 0, 1), np.float64)).view(V * M, C, T)
        return conv(rows).view(V, M, C, T).permute(2, 3, 0, 1).numpy()


def normal(clip: np.ndarray, rng: np.random.Generator, ratio: int = 6, amplitude: float = 0.5) -> np.ndarray:
    """Crop and shear."""
    padding = clip.shape[1] // ratio
    clip = crop(clip, int(rng.integers(0, 2 * padding + 1)), padding)
    return shear(clip, shear_matrix(rng.uniform(-amplitude, amplitude, 6)))


def extreme(clip: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """AimCLR's extreme view of a clip that went through :func:`normal`."""
    if rng.random() < 0.5:
        clip = clip[:, :, list(get_layout(LAYOUT).mirrored)]
    limits = np.full(3, 1.0)
    limits[rng.integers(3)] = 30.0
    clip = rotate(clip, np.radians(rng.uniform(0, limits)))
    if rng.random() < 0.5:
        clip = clip + rng.normal(0, 0.01, clip.shape)
    if rng.random() < 0.5:
        clip = blur(clip, rng.uniform(0.1, 2))
    if rng.random() < 0.5:
        clip = clip.copy()
        clip[rng.integers(3)] = 0
    return clip


def mixed(clips: Tensor, shift: int, joints: Sequence[int], first: int, units: int) -> Tensor:
    """SkeleMix, clip by clip: some joints of a span of units from the clip ``shift`` places later in the batch."""
    frames = slice(UNIT * first, UNIT * (first + units))
    out = clips.clone()
    for i in range(len(clips)):
        partner = clips[(i + shift) % len(clips)]
        for joint in joints:
            out[i, :, frames, joint] = partner[:, frames, joint]
    return out


def draw_mix(
    clips: Tensor, rng: np.random.Generator, parts: tuple[int, int] = (3, 4), units: tuple[int, int] = (4, 7)
) -> Tensor:
    """:func:`mixed` with one draw for the batch."""
    members = list(get_layout(LAYOUT).parts.values())
    chosen = rng.choice(len(members), int(rng.integers(parts[0], parts[1] + 1)), replace=False)
    length, total = int(rng.integers(units[0], units[1] + 1)), -(-clips.shape[2] // UNIT)
    first = int(rng.integers(0, total - length + 1))
    return mixed(clips, int(rng.integers(1, len(clips) - 1)), [j for p in chosen for j in members[p]], first, length)


class Feeder:
    """Reads and augments the clips of a batch one after the other.

    Args:
        clips: ``(N, C, T, V, M)`` float32.
        method: whose views; a key of :data:`~skeattn.benchmark.reference.methods.METHODS`.
        seed: of the draws.
        units: of the mixing.
    """

    def __init__(self, clips: np.ndarray, method: str, seed: int = 0, units: tuple[int, int] = (4, 7)) -> None:
        self.clips, self.method, self.units = clips, method, units
        self.rng = np.random.default_rng(seed)

    def __getitem__(self, index: int) -> dict[str, np.ndarray]:
        clip = np.array(self.clips[index])
        views = {'extreme': extreme(normal(clip, self.rng), self.rng)} if self.method == 'AimCLR' else {}
        return views | {'query': normal(clip, self.rng), 'key': normal(clip, self.rng)}

    def batch(self, indices: Sequence[int]) -> dict[str, Tensor]:
        """The loader's part: views ``(N, C, T, V, M)``, in double precision."""
        items = [self[index] for index in indices]
        return {name: torch.from_numpy(np.stack([item[name] for item in items])) for name in items[0]}

    def views(self, indices: Sequence[int], device: str = 'cpu') -> Mapping[str, Tensor]:
        """The views of a step on the device, in single precision; for SkeAttnCLR also the mixed one."""
        views = {name: view.to(device).float() for name, view in self.batch(indices).items()}
        return views | (
            {'mix': draw_mix(views['query'], self.rng, units=self.units)} if self.method == 'SkeAttnCLR' else {}
        )
