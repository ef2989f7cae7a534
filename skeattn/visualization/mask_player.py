"""Moving skeletons whose joints are coloured by the attention mask, as an animated GIF."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image

from skeattn.datasets.packed import class_name
from skeattn.errors import DataError
from skeattn.evaluation.salient_mask import salient_mask
from skeattn.files import write_atomic
from skeattn.progress import progress
from skeattn.skeletons import SkeletonLayout
from skeattn.visualization.style import INK, look

COLOUR_MAP = 'viridis'
TALL = 1.25
"""Ratio of a panel's height to its width."""


@dataclass
class MaskedClip:
    """A clip with the masks of several networks.

    Attributes:
        title: above its column, for example the class name.
        keypoint: ``(C, T, V, M)`` joint coordinates, y up; an absent person is all zero.
        masks: network's name -> ``(M, T', V)``; T' mask frames represent T frames.
    """

    title: str
    keypoint: np.ndarray
    masks: dict[str, np.ndarray]


def masked_clips(models: Mapping[str, Any], dataset: Any, indices: Sequence[int]) -> list[MaskedClip]:
    """The clips of a data set at ``indices`` with the salient masks of networks that have ``salient_mask(data)``."""
    data = dataset.__getitems__(list(indices))
    masks = {name: salient_mask(model, data).numpy() for name, model in models.items()}
    clips, titles = data['inputs'].numpy(), [class_name(dataset.classes, label) for label in data['labels'].tolist()]
    return [
        MaskedClip(title.replace('_', ' '), clip, {name: mask[i] for name, mask in masks.items()})
        for i, (clip, title) in enumerate(zip(clips, titles, strict=True))
    ]


def mask_range(clips: Sequence[MaskedClip]) -> dict[str, tuple[float, float]]:
    """Minimum and maximum mask value of each network over the persons present."""
    values: dict[str, list[np.ndarray]] = {}
    for clip in clips:
        for name, mask in clip.masks.items():
            values.setdefault(name, []).append(mask[_present(clip.keypoint)].ravel())
    return {name: (float(np.concatenate(v).min()), float(np.concatenate(v).max())) for name, v in values.items()}


def play_masks(
    clips: Sequence[MaskedClip],
    layout: SkeletonLayout,
    path: str | os.PathLike[str],
    title: str = 'MHSAM salient mask',
    fps: float = 16.0,
    dpi: int = 80,
) -> tuple[float, float]:
    """Draw a grid with a row per network and a column per clip, all joints on one colour scale.

    Args:
        clips: all with the same networks and the same number of frames T.
        layout: whose bones are drawn.
        path: GIF to write; it loops.
        title: above the grid.
        fps: frames per second.
        dpi: resolution.

    Returns:
        the scale: minimum and maximum over all networks and clips.

    Raises:
        DataError: a mask and its clip differ in the number of joints or persons, or no person is present.
    """
    for clip in clips:
        _check(clip)
    ranges = mask_range(clips)
    low, high = min(r[0] for r in ranges.values()), max(r[1] for r in ranges.values())
    scale = Normalize(low, max(high, low + 1e-6))
    rows = list(ranges)
    with look():
        figure = Figure(figsize=(2.3 * len(clips) + 1.7, 2.3 * TALL * len(rows) + 0.8), dpi=dpi, layout='constrained')
        canvas = FigureCanvasAgg(figure)
        axes = figure.subplots(len(rows), len(clips), squeeze=False)
        figure.suptitle(title, fontsize=13.5)
        players = []
        for row, name in enumerate(rows):
            low_row, high_row = ranges[name]
            axes[row, 0].set_ylabel(f'{name}\n{low_row:.4f} to {high_row:.4f}', fontsize=11)
            for column, clip in enumerate(clips):
                ax = axes[row, column]
                if row == 0:
                    ax.set_title(clip.title)
                players.append(_Player(ax, clip, name, layout, scale))
        bar = figure.colorbar(ScalarMappable(scale, COLOUR_MAP), ax=axes, shrink=0.75, aspect=28)
        bar.set_label('mask value, mean over channels')
        bar.outline.set_visible(False)  # type: ignore[operator]
        frames = []
        for t in progress(range(clips[0].keypoint.shape[1]), 'drawing the masks'):
            for player in players:
                player.show(t)
            canvas.draw()
            if t == 0:
                figure.set_layout_engine('none')  # all frames keep the first layout
            frames.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))
    write_gif(frames, Path(path), fps)
    return low, high


class _Player:
    """One panel: the persons of a clip in one network's colours."""

    def __init__(self, ax: Axes, clip: MaskedClip, name: str, layout: SkeletonLayout, scale: Normalize) -> None:
        self.points = _place(clip.keypoint)  # (M, T, V, 2)
        mask = clip.masks[name][_present(clip.keypoint)]
        T = self.points.shape[1]
        self.values = mask[:, np.arange(T) * mask.shape[1] // T]  # each mask frame represents T / T' frames
        self.bones = np.array(layout.bones)
        self.lines: list[LineCollection] = []
        self.joints: list[PathCollection] = []
        for person in self.points:
            lines = LineCollection([], colors='#9A9A9A', linewidths=2.6, zorder=1)
            ax.add_collection(lines)
            x, y = person[0].T
            dots = ax.scatter(x, y, s=58, c=np.zeros(len(x)), cmap=COLOUR_MAP, norm=scale, zorder=2)
            dots.set(edgecolor=INK, linewidth=0.5)
            self.lines.append(lines)
            self.joints.append(dots)
        low, high = self.points.min(axis=(0, 1, 2)), self.points.max(axis=(0, 1, 2))
        centre, size = (low + high) / 2, high - low
        half_height = 0.54 * max(size[1], size[0] * TALL)
        ax.set(
            xlim=centre[0] + np.array([-1, 1]) * half_height / TALL, ylim=centre[1] + np.array([-1, 1]) * half_height
        )
        ax.set(box_aspect=TALL, xticks=[], yticks=[])
        for spine in ax.spines.values():
            spine.set(visible=True, color='#DDDDDD')

    def show(self, t: int) -> None:
        for lines, joints, points, values in zip(self.lines, self.joints, self.points, self.values, strict=True):
            lines.set_segments(list(points[t][self.bones]))
            joints.set_offsets(points[t])
            joints.set_array(values[t])


def _present(keypoint: np.ndarray) -> np.ndarray:
    """Indices of the persons present, from ``(C, T, V, M)``."""
    return np.flatnonzero(keypoint.any(axis=(0, 1, 2)))


def _place(keypoint: np.ndarray) -> np.ndarray:
    """Positions of the drawn joints, ``(M, T, V, 2)``: seen from the front, slightly from the side, persons next to
    each other (the pipeline centres each person, so their distance is unknown)."""
    x, y, z = (keypoint[c].transpose(2, 0, 1)[_present(keypoint)] for c in range(3))
    angle = np.deg2rad(25)
    across = -x * np.cos(angle) + z * np.sin(angle)  # the right hand of a person facing us is on our left
    points = np.stack([across, y], axis=-1)
    reach = 0.0
    for person in points:
        person[..., 0] += reach - person[..., 0].min()
        reach = person[..., 0].max() + 0.15
    return points


def _check(clip: MaskedClip) -> None:
    _, T, V, M = clip.keypoint.shape
    if not len(_present(clip.keypoint)):
        raise DataError(f'clip {clip.title!r}: all persons are absent (all zero); choose a different clip')
    for name, mask in clip.masks.items():
        if mask.ndim != 3 or mask.shape[::2] != (M, V) or not 1 <= mask.shape[1] <= T:
            raise DataError(
                f"clip {clip.title!r}: the mask of {name!r} has shape {mask.shape}; give ({M}, T', {V}) for {M} "
                f'persons, up to {T} frames and {V} joints'
            )


def write_gif(frames: Sequence[Image.Image], path: Path, fps: float) -> None:
    """Write a GIF with one palette for all frames and no dithering, so that it does not flicker and stays small."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shown = [frames[i] for i in np.unique(np.linspace(0, len(frames) - 1, 4).astype(int))]
    sheet = Image.new('RGB', (shown[0].width, shown[0].height * len(shown)))
    for i, frame in enumerate(shown):
        sheet.paste(frame, (0, i * frame.height))
    palette = sheet.quantize(256, method=Image.Quantize.MEDIANCUT)
    images = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    options = {'save_all': True, 'append_images': images[1:], 'duration': round(1000 / fps), 'loop': 0}
    write_atomic(path, lambda file: images[0].save(file, format='GIF', **options))
