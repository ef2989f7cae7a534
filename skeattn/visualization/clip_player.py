"""Player of a clip at several steps side by side, as an HTML page, an animated GIF or an MP4."""

import base64
import html
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from string import Template
from typing import Any

import numpy as np
from matplotlib.animation import FFMpegWriter
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from PIL import Image

from skeattn.datasets.transforms import present
from skeattn.errors import ConfigError, DataError
from skeattn.files import replacing, write_text
from skeattn.progress import progress
from skeattn.skeletons import SkeletonLayout
from skeattn.visualization.clip_steps import Panel
from skeattn.visualization.mask_player import TALL, write_gif
from skeattn.visualization.style import COLOURS, INK, look

YAW = 25.0
"""Viewing angle of a 3-D clip in degrees: slightly from the side."""
COLUMNS = 6
PLAYER = Path(__file__).with_name('player.js')
"""Script that draws a moving skeleton; the pages of clips and reports contain it."""
_PAGE = Path(__file__).with_name('clip_player.html')


def play_clip(
    panels: Sequence[Panel],
    layout: SkeletonLayout,
    path: str | os.PathLike[str],
    title: str = '',
    fps: float = 30.0,
    frames: int | None = None,
) -> Path:
    """Draw the panels, each on its own scale, and play them synchronously: each shows the same share of its frames.

    Args:
        panels: in the order of drawing; the first one determines the upward direction.
        layout: whose bones are drawn; motion and bone streams are drawn as vectors from one point.
        path: file to write; its suffix is ``.html`` (a self-contained page), ``.gif`` or ``.mp4``.
        title: above the panels.
        fps: frames of the longest panel per second.
        frames: number of pictures of a GIF or MP4; by default the number of frames of the longest panel.

    Returns:
        the path.

    Raises:
        ConfigError: a different suffix, or MP4 without ffmpeg.
        DataError: there is nothing to draw.
    """
    path = Path(path)
    kinds = {'.html': _write_html, '.gif': _write_gif, '.mp4': _write_mp4}
    if path.suffix not in kinds:
        raise ConfigError(f'{path}: unknown suffix {path.suffix!r}; choose from {", ".join(kinds)}')
    if not any(present(panel.keypoint).any() for panel in panels):
        raise DataError(f'{title}: no person is present (all zero or missing) at any step; choose a different clip')
    longest = max(panel.keypoint.shape[1] for panel in panels)
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds[path.suffix](panels, layout, path, title, fps, frames or longest)
    return path


def upwards(panel: Panel, layout: SkeletonLayout) -> int:
    """1 if the y axis of a joint clip points up, -1 if down (image coordinates), from the mean direction of spines."""
    persons = panel.keypoint[present(panel.keypoint)]
    lower, upper = (layout.locate(persons, place) for place in layout.spine)
    up = (upper - lower)[..., 1]
    return -1 if up[~np.isnan(up)].sum() < 0 else 1


def frame_of(panel: Panel) -> tuple[np.ndarray, float]:
    """(centre ``(D,)``, half the width) of the visible part of space, for all frames and viewing angles."""
    points = panel.keypoint[present(panel.keypoint)].reshape(-1, panel.keypoint.shape[-1])
    points = points[~np.isnan(points).any(axis=1)]
    centre = np.zeros(panel.keypoint.shape[-1])
    if panel.stream == 'joint' and len(points):
        centre = (points.min(axis=0) + points.max(axis=0)) / 2
    away = points - centre
    across, up = np.linalg.norm(np.delete(away, 1, axis=1), axis=1), np.abs(away[:, 1])
    return centre, float(max(across.max(initial=0), up.max(initial=0) / TALL)) or 1.0


def _write_html(panels: Sequence[Panel], layout: SkeletonLayout, path: Path, title: str, fps: float, _: int) -> None:
    data = {
        'title': title,
        'fps': fps,
        'up': upwards(panels[0], layout),
        'yaw': YAW,
        'bones': layout.bones,
        'joints': layout.joints,
        'colours': COLOURS,
        'panels': [_as_data(panel) for panel in panels],
    }
    text = json.dumps(data).replace('<', '\\u003c')  # so that no name can end the script
    page = Template(_PAGE.read_text(encoding='utf-8'))
    player = PLAYER.read_text(encoding='utf-8')
    write_text(path, page.substitute(title=html.escape(title), data=text, ink=INK, player=player))


def _as_data(panel: Panel) -> dict[str, Any]:
    centre, reach = frame_of(panel)
    content = base64.b64encode(np.ascontiguousarray(panel.keypoint, '<f4').tobytes()).decode()
    return {
        'step': panel.step,
        'stream': panel.stream,
        'note': panel.note,
        'shape': panel.keypoint.shape,
        'centre': centre.tolist(),
        'reach': reach,
        'keypoint': content,
    }


def _write_gif(
    panels: Sequence[Panel], layout: SkeletonLayout, path: Path, title: str, fps: float, frames: int
) -> None:
    with look():
        canvas = FigureCanvasAgg(Figure(dpi=70, layout='constrained'))
        images = [
            Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
            for _ in _draw(canvas, panels, layout, title, frames)
        ]
    write_gif(images, path, _pace(panels, fps, frames))


def _write_mp4(
    panels: Sequence[Panel], layout: SkeletonLayout, path: Path, title: str, fps: float, frames: int
) -> None:
    if not FFMpegWriter.isAvailable():
        raise ConfigError(f'{path}: an MP4 needs the program ffmpeg on PATH; install it, or choose .html or .gif')
    with replacing(path, '.mp4') as scratch, look():
        canvas = FigureCanvasAgg(Figure(dpi=100, layout='constrained'))
        writer: Any = FFMpegWriter(_pace(panels, fps, frames))  # type: ignore[arg-type]
        for k, _ in enumerate(_draw(canvas, panels, layout, title, frames)):
            if k == 0:
                writer.setup(canvas.figure, str(scratch))
            writer.grab_frame()
        writer.finish()


def _pace(panels: Sequence[Panel], fps: float, frames: int) -> float:
    """Pictures per second for the same duration with a different number of pictures."""
    return fps * frames / max(panel.keypoint.shape[1] for panel in panels)


def _draw(
    canvas: FigureCanvasAgg, panels: Sequence[Panel], layout: SkeletonLayout, title: str, frames: int
) -> Iterator[None]:
    """Draw the pictures one after the other on the canvas, with one or more rows of panels per stream."""
    streams = list(dict.fromkeys(panel.stream for panel in panels))
    grouped = [[panel for panel in panels if panel.stream == stream] for stream in streams]
    columns = min(COLUMNS, max(map(len, grouped)))
    rows = [group[i : i + columns] for group in grouped for i in range(0, len(group), columns)]
    figure = canvas.figure
    figure.set_size_inches(2.0 * columns + 0.4, 2.0 * TALL * len(rows) + 0.6)
    figure.suptitle(title, fontsize=13.5)
    up = upwards(panels[0], layout)
    players = []
    for axes, row in zip(figure.subplots(len(rows), columns, squeeze=False), rows, strict=True):
        for ax in axes[len(row) :]:
            ax.set_visible(False)
        players += [_Player(ax, panel, layout, up) for ax, panel in zip(axes, row, strict=False)]
    for k in progress(range(frames), 'drawing the clip'):
        for player in players:
            player.show(k / frames)
        canvas.draw()
        if k == 0:
            figure.set_layout_engine('none')  # all pictures keep the first layout
        yield


class _Player:
    """A panel in a figure, with a colour per person."""

    def __init__(self, ax: Axes, panel: Panel, layout: SkeletonLayout, up: int) -> None:
        centre, reach = frame_of(panel)
        self.present = present(panel.keypoint)
        self.points = project(panel.keypoint - centre, up)
        self.bones = np.array(layout.bones) if panel.stream == 'joint' else None
        self.lines = [
            LineCollection([], colors=COLOURS[person % len(COLOURS)], linewidths=1.8)
            for person in range(len(self.points))
        ]
        for lines in self.lines:
            ax.add_collection(lines)
        half = 1.05 * reach
        ax.set(xlim=(-half, half), ylim=(-half * TALL, half * TALL))
        ax.set(box_aspect=TALL, xticks=[], yticks=[])
        facts = f'{panel.stream}, {panel.keypoint.shape[1]} frames'
        ax.set_title('\n'.join([panel.step, facts, *([panel.note] if 'missing' in panel.note else [])]), fontsize=9)
        for spine in ax.spines.values():
            spine.set(visible=True, color='#DDDDDD')

    def show(self, share: float) -> None:
        t = int(share * self.points.shape[1])
        for lines, points, visible in zip(self.lines, self.points[:, t], self.present[:, t], strict=True):
            ends = points[self.bones] if self.bones is not None else np.stack([0 * points, points], axis=1)
            drawn = ends[~np.isnan(ends).any(axis=(1, 2))]  # no bone ends in a missing joint
            lines.set_segments(list(drawn) if visible else [])


def project(points: np.ndarray, up: int) -> np.ndarray:
    """Positions ``(..., 2)`` of drawn points ``(..., D)``: 2-D unchanged, 3-D seen by an observer facing the person."""
    if points.shape[-1] == 2:
        return points * [1, up]
    yaw = np.deg2rad(YAW)
    x, y, z = np.moveaxis(points, -1, 0)
    return np.stack([-x * np.cos(yaw) + z * np.sin(yaw), up * y], axis=-1)
