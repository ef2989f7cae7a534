"""COCO keypoints: results of a clip, or of many with --images, as .json, and a table labels.csv with a row for each

Results are a list of ``{"image_id", "keypoints": [x, y, score, ...], "score"}``. An annotation file, whose ``images``
have ``id`` and ``file_name``, gives clip and frame of an image: by ``video_id`` and ``frame_id``, else by the name of
its file as the format openpose does. Files that hold ``images`` and ``annotations`` need no other. Without either a
file is a clip and the image ids are its frames.
"""

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skeattn.datasets.converters import alphapose, openpose
from skeattn.datasets.converters.estimators import XY_SCORE, misread, parse_json
from skeattn.datasets.converters.folder import ClipFolder
from skeattn.datasets.converters.members import LABELS
from skeattn.datasets.converters.source import Source
from skeattn.errors import DataError
from skeattn.skeletons import SkeletonLayout

_FRAME_KEYS = ('frame_id', 'frame_index', 'frame')
_VIDEO_KEYS = ('video_id', 'vid_id')
_FOLDER = ClipFolder(('.json',), alphapose.read_clip, channels=XY_SCORE, layouts=alphapose.LAYOUTS)


def convert(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    layout: str | os.PathLike[str] | SkeletonLayout | None = None,
    labels: str | os.PathLike[str] | None = None,
    classes: str | os.PathLike[str] | None = None,
    images: str | os.PathLike[str] | None = None,
    *,
    persons: str = 'order',
    max_persons: int | None = None,
    strict: bool = False,
    overwrite: bool = False,
) -> None:
    """Pack the clips, see :meth:`~skeattn.datasets.converters.folder.ClipFolder.convert`.

    Args:
        source: folder, searched through, or zip archive; or a file of results.
        out: the packed set's folder.
        layout, labels, classes, persons, max_persons, strict, overwrite: as there.
        images: annotation file that tells clip and frame of the image ids.

    Raises:
        DataError, ConfigError: as there; or an image id is not in the annotation file.
    """
    files = Source(source, ('.json', *LABELS))
    listed = None if images is None else _images(os.fspath(images), _read(Path(images)))
    without = None if images is None else str(Path(images).resolve())
    results = [
        member for member in files if member.lower().endswith('.json') and str(Path(member).resolve()) != without
    ]
    if listed is not None or (results and isinstance(parse_json(results[0], files.read(results[0])), dict)):
        files = Regrouped(files, results, listed)
    options = {'persons': persons, 'max_persons': max_persons, 'strict': strict, 'overwrite': overwrite}
    _FOLDER.convert(files, out, layout, labels, classes, **options)  # type: ignore[arg-type]


class Regrouped(Source):
    """A file for each clip of results that hold several, and the tables of labels.

    Args:
        source: the files.
        results: those that hold results.
        images: clip and frame of each image id; None where each file has its own.

    Raises:
        DataError: a file is not of this form, or an image id is unknown.
    """

    def __init__(self, source: Source, results: Sequence[str], images: dict[Any, tuple[str, int]] | None) -> None:
        super().__init__(source.paths, ('.json', *LABELS))
        clips: dict[str, list[Any]] = defaultdict(list)
        for path in results:
            value = parse_json(path, source.read(path))
            known = _images(path, value) if images is None else images
            for row in _rows(path, value):
                image = row.get('image_id') if isinstance(row, dict) else None
                if isinstance(image, list | dict) or image not in known:
                    raise DataError(f'{path}: its image_id {image!r:.40} is none of the {len(known)} images listed')
                clip, frame = known[image]
                clips[f'{clip or Path(path).stem}.json'].append({**row, 'image_id': frame})
        self._clips = {name: json.dumps(rows).encode() for name, rows in clips.items()}
        self.members = [*(m for m in self.members if not m.lower().endswith('.json')), *sorted(self._clips)]

    def read(self, member: str) -> bytes:
        """The bytes of one file."""
        return self._clips[member] if member in self._clips else super().read(member)

    def inner(self, member: str) -> str:
        """Where a file lies; a clip by its name."""
        return member if member in self._clips else super().inner(member)


def _rows(path: str, value: Any) -> list[Any]:
    """The results of a file, or the annotations of an annotation file.

    Raises:
        DataError: it holds no list of these.
    """
    rows = value.get('annotations') if isinstance(value, dict) else value
    if not isinstance(rows, list):
        raise misread(path, 'file of COCO, a list of results or "annotations"', value, 'coco')
    return rows


def _read(path: Path) -> Any:
    try:
        return parse_json(str(path), path.read_bytes())
    except OSError as error:
        raise DataError(f'{path} (--images) cannot be read: {error}') from error


def _images(path: str, value: Any) -> dict[Any, tuple[str, int]]:
    """Clip and frame of each image id; the clip is empty where neither a video nor a file's name tells it.

    Raises:
        DataError: it is no annotation file.
    """
    try:
        videos = {video['id']: str(video.get('name') or f'video_{video["id"]}') for video in value.get('videos') or ()}
        images = {}
        for image in value['images']:
            name = str(image.get('file_name') or '')
            of = openpose.file_of(name.replace('\\', '/'))
            video = next((image[key] for key in _VIDEO_KEYS if image.get(key) is not None), None)
            frame = next((int(image[key]) for key in _FRAME_KEYS if image.get(key) is not None), of.place)
            own = '' if of.name in ('.', '') else of.name
            images[image['id']] = (own if video is None else videos.get(video, f'video_{video}'), frame)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise DataError(
            f'{path}: it is no annotation file of COCO, "images" with "id" and "file_name" ({error!r:.100})'
        ) from error
    return images
