"""The content of a packed set in numbers, and warnings where it is probably not what its user means."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skeattn.channels import num_coordinates
from skeattn.datasets.copies import members
from skeattn.datasets.measures import IN_A_METRE, Measures, Tree, fit_tree, sample_bodies
from skeattn.datasets.missing import SCORES
from skeattn.datasets.packed import PackedSet, class_name
from skeattn.datasets.splits import PARTS, split
from skeattn.errors import ConfigError, DataError
from skeattn.skeletons import LAYOUTS

SHOWN = 3
PIXELS = 5
"""Trunk length in x and y from which on these are no metres."""
LONGEST_3D, LONGEST_2D, ASYMMETRY = 1.45, 1.9, 0.2
"""Of a :class:`~skeattn.datasets.measures.Tree` whose layout fits. Seen from the side, limbs are near each other."""
UNEQUAL = 4
"""Ratio of two persons' trunks that are the x and the y of one."""
OUTLIER_3D, OUTLIER_2D, LARGE = 10, 20, 20
"""Ratio of a trunk to the median of the set, and of a body to its trunk; persons in pictures are near or far."""
RESTLESS = 0.05
"""Share of the steps of a clip in which persons change rows, and of the clips of several persons in which they do."""
PERCENT = 2
"""Median of a score above which it is no probability; peaks of heatmaps go a little beyond 1."""
ZEROS = 5e-4
"""Share of joints at the origin; a sensor puts one there now and then."""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong or unlikely.

    Args:
        where: the clip or the file.
        field: of the clip, or of the set.
        what: is wrong with it, and the cure.
    """

    where: str
    field: str
    what: str

    def __str__(self) -> str:
        return f'{self.where}: {self.field}: {self.what}'


Groups = Sequence[Sequence[int]]


def copied(test: np.ndarray, train: np.ndarray, groups: Groups) -> np.ndarray:
    """Which of the test clips equal a training clip, (N,) bool.

    Args:
        test, train: indices of clips.
        groups: of equal clips, see :meth:`~skeattn.datasets.packed.PackedSet.copies`.
    """
    group_of = members(groups)
    trained = {group_of[i] for i in train.tolist() if i in group_of}
    return np.array([group_of.get(i) in trained for i in test.tolist()], bool)


def copied_by_split(packed: PackedSet, groups: Groups) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Split -> test clips that equal a training clip, all training and all test clips; without one-sided splits."""
    clips = {}
    for name in packed.splits:
        with contextlib.suppress(DataError):
            train, test = split(packed, name)
            clips[name] = test[copied(test, train, groups)], train, test
    return clips


def copied_names(packed: PackedSet, name: str | Sequence[str]) -> frozenset[str]:
    """Names of the test clips of a split that equal a training clip; none of a split that the set does not have."""
    with contextlib.suppress(ConfigError, DataError):
        train, test = split(packed, name)
        return frozenset(map(str, packed.table['name'][test[copied(test, train, packed.copies())]]))
    return frozenset()


def several_labels(packed: PackedSet, groups: Groups) -> list[Sequence[int]]:
    """Groups of equal clips with more than one label."""
    return [group for group in groups if len({*packed.table['label'][list(group)].tolist()} - {-1}) > 1]


def copies_summary(packed: PackedSet, groups: Groups) -> dict[str, Any]:
    """Copies by name, for JSON."""
    names = packed.table['name']
    return {
        'groups': [[str(names[i]) for i in group] for group in groups],
        'clips': sum(map(len, groups)),
        'several_labels': len(several_labels(packed, groups)),
        'test_clips': {split: len(clips) for split, (clips, *_) in copied_by_split(packed, groups).items()},
    }


def copy_findings(packed: PackedSet, groups: Groups) -> list[Finding]:
    """A line for each split with copies on both sides, one for copies under several labels, one for the others."""
    names, group_of, splits = packed.table['name'], members(groups), copied_by_split(packed, groups)
    findings, mentioned = [], set[int]()
    for name, (clips, train, test) in splits.items():
        if len(clips):
            group = groups[group_of[clips[0]]]
            original = next(i for i in group if i in set(train.tolist()))
            what = (
                f'equals the training clip {names[original]}; {len(clips)} of {len(test)} test clips of split {name!r} '
                f'equal a training clip ({_by_class(packed, clips, test)}); skeattn test also reports '
                f'results without them'
            )
            findings.append(Finding(str(names[clips[0]]), 'copy', what))
            mentioned |= {group_of[i] for i in clips.tolist()}
    ambiguous = several_labels(packed, groups)
    for one, *others in ambiguous[:1]:
        labels = packed.table['label']
        other = next(i for i in others if labels[i] not in (labels[one], -1))
        what = (
            f'{_class(packed, labels[one])}, but its copy {names[other]} is {_class(packed, labels[other])}; '
            f'{len(ambiguous)} recordings have several labels: remove the wrong ones from the source'
        )
        findings.append(Finding(str(names[one]), 'label', what))
    rest = [k for k, group in enumerate(groups) if k not in mentioned and group not in ambiguous]
    if rest:
        one, other = groups[rest[0]][:2]
        what = f'equals {names[other]}; {len(rest)} recordings occur several times, each under one label'
        findings.append(Finding(str(names[one]), 'copy', what))
    return findings


def _class(packed: PackedSet, label: int) -> str:
    name = class_name(packed.classes, label)
    return repr(name) if 0 <= label < len(packed.classes) else name


def _by_class(packed: PackedSet, clips: np.ndarray, test: np.ndarray) -> str:
    """``"50 of 50 'drop trash', 3 of 40 'carry'"``: the classes with most of the clips."""
    labels = packed.table['label']
    numbers, counts = np.unique(labels[clips], return_counts=True)
    order = np.argsort(-counts, kind='stable')[:SHOWN]
    shown = [f'{counts[k]} of {(labels[test] == numbers[k]).sum()} {_class(packed, numbers[k])}' for k in order]
    return ', '.join([*shown, *([f'{len(numbers) - SHOWN} classes more'] if len(numbers) > SHOWN else [])])


def meaning_findings(packed: PackedSet, measures: Measures) -> list[Finding]:
    """Warnings, each with its cure, where the values are probably not what the layout, channels and labels say."""
    # Where axes or joints are mistaken for others, whatever follows from them means nothing.
    structure = next((texts for check in (_channels, _persons, _skeleton) if (texts := [*check(packed, measures)])), [])
    checks = (_unit, _scores, _zeros, *([] if structure else [_rows, _outliers]), _labels, _parts)
    texts = [*structure, *(text for check in checks for text in check(packed, measures))]
    return [Finding(where or str(packed.path), field, what) for where, field, what in texts]


def _channels(packed: PackedSet, measures: Measures) -> Iterator[tuple[str, str, str]]:
    """A score among the coordinates, or a coordinate without information."""
    if 'z' not in packed.channels:
        return
    names = ','.join(['x', 'y', 'score', *packed.channels[3:]])
    low, _, high = measures.channels['z']
    flat = float(np.median([clip.flat for clip in measures.clips]))
    (left, _, right), (bottom, _, top) = measures.channels['x'], measures.channels['y']
    in_image = min(left, bottom) >= -1.5 and max(right, top) <= 1.5 and _upright(packed)
    spans = [channel[:2] == (0, 1) for channel in ((left, right), (bottom, top), (low, high))]
    if low >= 0 and 0.3 < high <= 1.01 and (flat > PIXELS or (in_image and not all(spans))):
        yield (
            '',
            'channels',
            f'z lies in {low:.2g}..{high:.2g} and is probably a score (x {left:.4g}..{right:.4g}, y {bottom:.4g}..'
            f'{top:.4g}): convert again with --channels {names}',
        )
    elif low == high:
        yield '', 'channels', f'z is {low:g} everywhere: the data are 2-D; convert x and y alone, with --channels x,y'


def _upright(packed: PackedSet) -> bool:
    """Whether x and y alone show a body; seen from above, along an upward z, they do not."""
    tree = fit_tree([frames[..., :2] for frames in sample_bodies(packed)], packed.layout)
    return tree is not None and _fits(tree, flat=True)


def _persons(packed: PackedSet, measures: Measures) -> Iterator[tuple[str, str, str]]:
    """Axes in a different order, which make persons of something else."""
    frames, slots = packed.table['frames'], packed.table['persons']
    if (slots > np.maximum(frames, 4)).mean() > 0.5:
        yield (
            str(packed.table['name'][0]),
            'shape',
            f'{slots[0]} persons in {frames[0]} frames: the first axis is probably that of the frames; transpose the '
            f'arrays to (M, T, V, C)',
        )
        return
    full = [clip.trunks for clip in measures.clips if clip.persons == np.median(slots) > 1 and max(clip.trunks) > 0]
    ratio = float(np.median([min(trunks[:2]) / max(trunks) for trunks in full])) if full else 1.0
    if measures.collinear or (len(full) > 0.9 * len(packed) and ratio < 1 / UNEQUAL):
        reason = 'the joints of a person lie on a line' if measures.collinear else 'persons of a clip differ in size'
        yield (
            '',
            'shape',
            f'{reason}: the arrays are probably (C, T, V, M), as ST-GCN stores them; transpose them to (M, T, V, C), '
            f'array.transpose(3, 1, 2, 0), and convert again',
        )


def _skeleton(packed: PackedSet, measures: Measures) -> Iterator[tuple[str, str, str]]:
    """The number of joints of the layout, in a different order."""
    flat = num_coordinates(packed.channels) == 2
    if measures.tree is None or measures.collinear or _fits(measures.tree, flat):
        return
    bodies = sample_bodies(packed)
    others = {
        name: tree
        for name, layout in LAYOUTS.items()
        if layout.num_joints == packed.layout.num_joints and layout != packed.layout
        if (tree := fit_tree(bodies, layout)) is not None and _fits(tree, flat)
    }
    best = min(others, key=lambda name: others[name].length, default=None)
    cure = f'--layout {best} fits' if best else 'compare the order of joints with docs/datasets/layouts.md'
    tree = measures.tree
    yield (
        '',
        'layout',
        f'the joints are probably not those of {packed.layout.name!r}: the bones are {tree.length:.1f} times as long '
        f'as the shortest tree (1.4 or less is usual), left and right differ by {100 * tree.asymmetry:.0f} %; {cure}',
    )


def _fits(tree: Tree, flat: bool) -> bool:
    return tree.length <= (LONGEST_2D if flat else LONGEST_3D) and tree.asymmetry <= ASYMMETRY


def _unit(packed: PackedSet, measures: Measures) -> Iterator[tuple[str, str, str]]:
    """3-D coordinates that are not in metres."""
    divisor = IN_A_METRE.get(measures.unit)
    if divisor:
        yield (
            '',
            'unit',
            f'the trunk is {measures.trunk:.4g} long, so the unit is probably {measures.unit}; steps and operations '
            f'expect metres: divide by {divisor} before conversion, or scale each body by a ScaleBody step',
        )


def _scores(packed: PackedSet, measures: Measures) -> Iterator[tuple[str, str, str]]:
    """Scores that are no probabilities."""
    for name in set(packed.channels) & set(SCORES):
        _, middle, high = measures.channels[name]
        if middle > PERCENT:
            yield (
                '',
                'channels',
                f'{name} is {middle:.3g} in the median and up to {high:.4g}, probably in percent: a score lies in '
                f'0..1, divide by 100 before conversion',
            )


def _rows(packed: PackedSet, measures: Measures) -> Iterator[tuple[str, str, str]]:
    """Persons whose place in the list of a frame means nothing."""
    several = [i for i, clip in enumerate(measures.clips) if clip.steps]
    restless = [i for i in several if measures.clips[i].moves > RESTLESS * measures.clips[i].steps]
    if restless and len(restless) > RESTLESS * len(several):
        clip = measures.clips[restless[0]]
        yield (
            str(packed.table['name'][restless[0]]),
            'persons',
            f'persons change places in {clip.moves} of {clip.steps} frames; so they do in {len(restless)} of '
            f'{len(several)} clips with several persons, whose rows are then no persons: convert again with '
            f'--persons track',
        )


def _zeros(packed: PackedSet, measures: Measures) -> Iterator[tuple[str, str, str]]:
    """Joints that were not detected, stored as a place."""
    if measures.zero > ZEROS:
        first = next(i for i, clip in enumerate(measures.clips) if clip.zero.any())
        joint = packed.layout.joints[int(measures.clips[first].zero.argmax())]
        yield (
            str(packed.table['name'][first]),
            'keypoint',
            f'joint {joint} is at the origin; so are {100 * measures.zero:.2g} % of the joints of the set, which were '
            f'probably not detected: convert again, so that they become missing (with --channels x,y,score if the '
            f'source has scores)',
        )


def _outliers(packed: PackedSet, measures: Measures) -> Iterator[tuple[str, str, str]]:
    """Clips in a different unit, or with a joint far from the body."""
    most = OUTLIER_2D if num_coordinates(packed.channels) == 2 else OUTLIER_3D
    sizes = np.array([clip.trunk for clip in measures.clips]) / (measures.trunk or 1)
    extents = np.array([clip.extent / (clip.trunk or np.inf) for clip in measures.clips])
    wrong = (sizes > 0) & ((sizes > most) | (sizes < 1 / most))
    for clips, text in (
        (wrong, 'the trunk is {0:.3g} times the median of the set; {1} clips are as far from it: check their unit'),
        (
            (extents > LARGE) & ~wrong,
            'a body is {2:.3g} trunk lengths large; so it is in {1} clips: look at them with '
            'skeattn browse, and remove or fill the joints that are far off',
        ),
    ):
        if clips.any():
            i = int(np.flatnonzero(clips)[0])
            yield str(packed.table['name'][i]), 'keypoint', text.format(sizes[i], int(clips.sum()), extents[i])


def _labels(packed: PackedSet, measures: Measures) -> Iterator[tuple[str, str, str]]:
    """Labels that begin at 1."""
    if len(packed.classes) > 1 and measures.empty == packed.classes[:1]:
        yield (
            '',
            'label',
            f'class 0 ({packed.classes[0]!r}) has no clip, all others have: labels probably begin at 1; subtract 1, or '
            f'give class names',
        )


def _parts(packed: PackedSet, measures: Measures) -> Iterator[tuple[str, str, str]]:
    """Splits on which nothing can be evaluated."""
    for name in packed.splits:
        with contextlib.suppress(DataError):
            for part, clips in zip(PARTS, split(packed, name), strict=True):
                if not (packed.table['label'][clips] >= 0).any():
                    what = f'no {part} clip has a label' if len(clips) else f'there is no {part} clip'
                    use = 'it serves pre-training; evaluation needs labelled training and test clips'
                    yield '', f'split {name!r}', f'{what}: {use}'
