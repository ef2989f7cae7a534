"""PKU-MMD, part I or II: long videos as text skeletons, cut into their annotated actions, Kinect v2

A skeleton file has one line a frame: 150 numbers, x, y, z of the 25 joints of one person, then of a second, in metres.
A label file has one line an action: class, first and last frame (from 1, inclusive), confidence, between commas. Both
are named after their video, ``0002-L.txt`` in part I and ``A01N01-L.txt`` in part II, and lie in folders of their own.
A split file lists training videos under one title and test videos under a second.
"""

import os
import re
import warnings
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from skeattn.datasets.converters.chunks import Parsed
from skeattn.datasets.converters.loop import add_all
from skeattn.datasets.converters.persons import Choice
from skeattn.datasets.converters.source import Source, bundled
from skeattn.datasets.splits import SPLITS
from skeattn.datasets.writer import PackedWriter
from skeattn.errors import ConfigError, DataError
from skeattn.skeletons import get_layout

_LAYOUT = get_layout('ntu25')
_ACTIONS = bundled('pkummd_actions.txt')
_FRAME = (2, _LAYOUT.num_joints, 3)
_VALUES = int(np.prod(_FRAME))
_VIEWS = 'LMR'
_VIDEO = {1: re.compile(r'(\d{4})-([LMR])', re.ASCII), 2: re.compile(r'A(\d\d)N(\d\d)-([LMR])', re.ASCII)}
_EXAMPLE = {1: '0002-L', 2: 'A01N01-L'}
_ACTION = re.compile(r'\s*(\d{1,9})\s*,\s*(\d{1,9})\s*,\s*(\d{1,9})\s*(,.*)?', re.ASCII)
# Part I comes with cross-subject.txt or cross_subject.txt, part II with cross_subject_v2.txt.
_SPLIT = {1: 'cross[-_ ]?{}.txt', 2: 'cross[-_ ]?{}[-_ ]?v2.txt'}
_SPLIT_BY = {'xsub': 'subject', 'xview': 'view'}
_TRAINS, _TESTS, _NEITHER = 1, 0, -1
MAX_FRAMES = 300


def convert(
    source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    part: int | None = None,
    skip_list: str | os.PathLike[str] | None = None,
    unlisted: str = 'neither',
    *,
    persons: str = 'order',
    max_persons: int | None = None,
    strict: bool = False,
    overwrite: bool = False,
    jobs: int | None = None,
) -> None:
    """Pack the annotated actions of the videos, each a clip of one or two persons and at most 300 frames.

    Clips are named as in the releases that use the set, ``F002V1C008L003`` or ``A001N001V1C008L003``: video, view (1
    left, 2 middle, 3 right), class, line of the label file. They are sorted by video and line.

    Args:
        source: folder, searched through, or zip archive, or several, with skeletons, labels and the two split files.
        out: the packed set's folder.
        part: 1 or 2; by default derived from the names of the videos.
        skip_list: text file of clips or videos to leave out, one name a line.
        unlisted: where clips of a video that a split file does not name go: to ``'neither'`` side or, as in the
            releases, to the ``'test'`` side.
        persons, max_persons: which persons are kept, see :class:`~skeattn.datasets.converters.persons.Choice`.
        strict: stop at the first unusable action instead of leaving it out.
        overwrite: replace a set at ``out``.
        jobs: number of processes; by default one a core. The set does not depend on it.

    Raises:
        DataError: the source lacks something, nothing in it is usable, or with ``strict`` something is not.
        ConfigError: unknown ``part`` or ``unlisted``.
    """
    if part not in (None, *_VIDEO) or unlisted not in ('neither', 'test'):
        raise ConfigError(f'part={part!r}, unlisted={unlisted!r}; choose 1 or 2, and "neither" or "test"')
    files = Source(source, '.txt')
    part = part or _part_by_names(files)
    actions = Actions(files, *_find_videos(files, part))
    splits = {name: read_split(member, files.read(member), part) for name, member in _find_splits(files, part).items()}
    columns = {
        action.name: action.columns | {name: sides.get(action.video, _NEITHER) for name, sides in splits.items()}
        for action in actions.usable
    }
    rules = SPLITS[f'pkummd{part}']
    if unlisted == 'test':
        rules = {name: {**rule, 'test': (_TESTS, _NEITHER)} for name, rule in rules.items()}
    own = ('video', *splits)
    with PackedWriter(out, f'pkummd{part}', _LAYOUT, _ACTIONS, rules, overwrite, columns=own) as writer:
        for name in actions.leave_out(Path(skip_list)) if skip_list is not None else ():
            writer.skip(name, f'listed in {skip_list}', intended=True)
        for name in splits:
            count = sum(columns[action.name][name] == _NEITHER for action in actions.usable)
            writer.notes[f'clips of videos that the {name} lists lack'] = count
        add_all(
            writer, actions, partial(parse, columns=columns), Choice(persons, max_persons), strict=strict, jobs=jobs
        )


def parse(path: str, content: bytes, columns: Mapping[str, dict[str, int]]) -> Parsed:
    """Name, keypoint ``(M, T, 25, 3)`` and columns of one action; M is 1 or 2.

    The second person is there in the frames in which its 75 values do not sum to zero, as in the releases.

    Args:
        path: ends with the name of the clip.
        content: the action's lines of the skeleton file.
        columns: those of each clip.

    Raises:
        DataError: a line is not 150 numbers, or no person is present.
    """
    lines = content.decode('latin-1').split('\n')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', UserWarning)  # nothing but blank lines: said below
        try:
            values = np.loadtxt(lines, comments=None, ndmin=2)
        except ValueError:
            values = np.empty((0, 0))
    if values.shape != (len(lines), _VALUES):
        frame = next((n for n, line in enumerate(lines, 1) if not _is_frame(line)), 1)
        raise DataError(f'{path}: line {frame} of the action is not the {_VALUES} numbers of a frame')
    keypoint = values.reshape(-1, *_FRAME).swapaxes(0, 1)
    keypoint[1, keypoint[1].sum(axis=(1, 2)) == 0] = 0
    if not keypoint.any():
        raise DataError(f'{path}: no body in any frame of the action')
    name = Path(path).name
    return name, keypoint if keypoint[1].any() else keypoint[:1], columns[name]


@dataclass(frozen=True)
class Action:
    """One line of a label file: of which video, class index, frames ``[start, stop)`` from 0, number of the line."""

    video: str
    label: int
    start: int
    stop: int
    line: int

    @property
    def columns(self) -> dict[str, int]:
        """Label, and the parts of the video's name: number, view and, in part II after the N, the subject."""
        *numbers, view = next(filter(None, (name.fullmatch(self.video) for name in _VIDEO.values()))).groups()
        parts = dict(zip(('video', 'subject'), map(int, numbers), strict=False))
        return {'label': self.label, 'camera': _VIEWS.index(view) + 1, **parts}

    @property
    def name(self) -> str:
        """Name of the clip."""
        columns = self.columns
        video = (
            f'A{columns["video"]:03d}N{columns["subject"]:03d}' if 'subject' in columns else f'F{columns["video"]:03d}'
        )
        return f'{video}V{columns["camera"]}C{self.label + 1:03d}L{self.line:03d}'


def read_action(path: str, line: str, number: int) -> Action:
    """One line of a label file, which is named after its video.

    Raises:
        DataError: not class, first and last frame, an unknown class, or an action that ends before it begins.
    """
    match = _ACTION.fullmatch(line)
    if match is None:
        raise DataError(f'{path}, line {number}: not class, first frame, last frame, confidence')
    label, first, last = map(int, match.groups()[:3])
    if not 1 <= label <= len(_ACTIONS):
        raise DataError(f'{path}, line {number}: class {label} is outside 1..{len(_ACTIONS)}')
    if not 1 <= first <= last:
        raise DataError(f'{path}, line {number}: an action from frame {first} to {last} has no frames')
    return Action(Path(path).stem, label - 1, first - 1, last, number)


def read_split(path: str, content: bytes, part: int) -> dict[str, int]:
    """Which videos a split file names: 1 for training, 0 for testing.

    Raises:
        DataError: there are not two titled lists of videos, or a video stands in both.
    """
    lists: list[set[str]] = []
    for number, line in enumerate(_lines(path, content), 1):
        names = [name.removesuffix('.txt') for name in re.split(r'[,;\s]+', line) if name]
        strange = [name for name in names if not _VIDEO[part].fullmatch(name)]
        if names and len(strange) == len(names):  # a title
            lists.append(set())
        elif strange or (names and not lists):
            what = f'{strange[0][:40]!r} is none' if strange else 'they have no title'
            raise DataError(f'{path}, line {number}: names of videos such as {_EXAMPLE[part]}, but {what}')
        elif names:
            lists[-1].update(names)
    lists = [videos for videos in lists if videos]
    if len(lists) != 2:
        raise DataError(
            f'{path}: {len(lists)} lists of videos such as {_EXAMPLE[part]}, not one to train and one to test'
        )
    train, test = lists
    if both := train & test:
        raise DataError(f'{path}: {min(both)} is to train and to test')
    return {video: _TRAINS if video in train else _TESTS for video in sorted(train | test)}


class Actions(Source):
    """The annotated actions of the videos as if each were a file: its lines of the skeletons, at most the central 300.

    Args:
        files: where to read.
        skeletons: skeleton files by video.
        labels: label files by video.
    """

    def __init__(self, files: Source, skeletons: Mapping[str, str], labels: Mapping[str, str]) -> None:
        self.paths = files.paths
        self._files = files
        self._skeletons = skeletons
        self._labels = labels
        self._video: tuple[str, list[bytes]] = ('', [])  # the last one read: its actions follow each other
        self._found: dict[str, Action | DataError] = {}  # what a member is: an action, or why it is none
        for video in sorted(skeletons.keys() | labels.keys()):
            try:
                self._find_actions(video)
            except DataError as error:
                self._found[video] = error
        self.members = list(self._found)

    @property
    def usable(self) -> list[Action]:
        """The actions that are described well enough to be read."""
        return [found for found in map(self._found.get, self.members) if isinstance(found, Action)]

    def leave_out(self, path: Path) -> list[str]:
        """Forget the clips and the videos that a text file names, and return these names.

        Raises:
            DataError: the file cannot be read, or a name is of neither.
        """
        try:
            names = list(dict.fromkeys(path.read_text(encoding='utf-8').split()))
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f'{path}, the list of what to skip, cannot be read: {error}') from error
        known = {name for action in self.usable for name in (action.name, action.video)}
        if unknown := [name for name in names if name not in known]:
            raise DataError(f'{path}: {unknown[0][:40]!r} is neither a clip nor a video of {self}')
        of = {member: {found.name, found.video} for member, found in self._found.items() if isinstance(found, Action)}
        self.members = [member for member in self.members if of.get(member, set()).isdisjoint(names)]
        return names

    def read(self, member: str) -> bytes:
        """The lines of an action.

        Raises:
            DataError: there is none, the video cannot be read, or the action reaches beyond it.
        """
        action = self._found[member]
        if isinstance(action, DataError):
            raise action
        if self._video[0] != action.video:
            self._video = action.video, self._files.read(self._skeletons[action.video]).rstrip().split(b'\n')
        lines = self._video[1]
        if action.stop > len(lines):
            where = f'frames {action.start + 1} to {action.stop} are outside the {len(lines)} of the video'
            raise DataError(f'{self._labels[action.video]}, line {action.line}: {where}')
        start = action.start + max(0, action.stop - action.start - MAX_FRAMES) // 2
        return b'\n'.join(lines[start : min(action.stop, start + MAX_FRAMES)])

    def read_ahead(self, members: Sequence[str]) -> None:
        """Have the system fetch the videos of these actions."""
        actions = [found for found in map(self._found.get, members) if isinstance(found, Action)]
        self._files.read_ahead(list(dict.fromkeys(self._skeletons[action.video] for action in actions)))

    def state(self, member: str) -> tuple[int, int]:
        """Size of the video's file, and a checksum over its time of change and the action."""
        found = self._found[member]
        size, changed = (0, 0) if isinstance(found, DataError) else self._files.state(self._skeletons[found.video])
        return size, zlib.crc32(repr((changed, found)).encode())

    def _find_actions(self, video: str) -> None:
        for kind, members in (('skeleton', self._skeletons), ('label', self._labels)):
            if video not in members:
                raise DataError(f'{video} has no {kind} file')
        skeleton, path = self._skeletons[video], self._labels[video]
        for number, line in enumerate(_lines(path, self._files.read(path)), 1):
            try:
                action = read_action(path, line, number)
                self._found[f'{skeleton}/{action.name}'] = action
            except DataError as error:
                self._found[f'{path}, line {number}'] = error


def _lines(path: str, content: bytes) -> list[str]:
    try:
        return content.decode('utf-8-sig').rstrip().split('\n')
    except UnicodeDecodeError as error:
        raise DataError(f'{path}: no text ({error})') from None


def _is_frame(line: str) -> bool:
    try:
        return len([float(value) for value in line.split()]) == _VALUES
    except ValueError:
        return False


def _part_by_names(files: Source) -> int:
    parts = [part for part, name in _VIDEO.items() if any(name.fullmatch(Path(member).stem) for member in files)]
    if len(parts) == 2:
        raise DataError(f'{files} holds videos of both parts; choose one by --part 1 or --part 2 (part=1 or 2)')
    if not parts:
        raise DataError(f'{files} holds no file named as a video, {_EXAMPLE[1]}.txt or {_EXAMPLE[2]}.txt')
    return parts[0]


def _find_videos(files: Source, part: int) -> tuple[dict[str, str], dict[str, str]]:
    """Skeleton and label files by video. They have the same names; the content of a folder decides which it holds."""
    folders: dict[Path, dict[str, str]] = defaultdict(dict)
    for member in files:
        if _VIDEO[part].fullmatch(Path(member).stem):
            folders[Path(member).parent][Path(member).stem] = member
    found: dict[str, Path] = {}
    for folder, members in folders.items():
        kind = next(filter(None, (_kind(files.read(member)) for member in members.values())), '')
        if kind in found:
            raise DataError(f'{found[kind]} and {folder} both hold {kind} of part {part}; give the folder of one')
        if kind:
            found[kind] = folder
    for kind, what in (('skeletons', f'{_VALUES} numbers a line'), ('labels', 'class, first and last frame a line')):
        if kind not in found:
            raise DataError(f'{files} holds no folder of {kind} of part {part}: {_EXAMPLE[part]}.txt …, {what}')
    return folders[found['skeletons']], folders[found['labels']]


def _kind(content: bytes) -> str:
    line = content.lstrip().split(b'\n', 1)[0]
    if len(line.split()) == _VALUES:
        return 'skeletons'
    return 'labels' if line.count(b',') in (2, 3) else ''


def _find_splits(files: Source, part: int) -> dict[str, str]:
    found = {}
    for split, by in _SPLIT_BY.items():
        pattern = re.compile(_SPLIT[part].format(by), re.IGNORECASE)
        members = [member for member in files if pattern.fullmatch(Path(member).name)]
        if len(members) != 1:
            expected = f'cross_{by}{"_v2" if part == 2 else ""}.txt'
            listed = f': {", ".join(members)}' if members else ''
            raise DataError(f'{files} holds {len(members)} files {expected}, not the one of part {part}{listed}')
        found[split] = members[0]
    return found
