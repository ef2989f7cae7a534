"""Convert raw files to a packed set."""

import argparse
import inspect
import re
import sys
from collections import Counter
from pathlib import PurePath
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from tabulate import tabulate

from skeattn import cli
from skeattn.datasets import PackedSet, converters, synthetic
from skeattn.datasets.converters.bodies import BODIES
from skeattn.datasets.converters.persons import RULES
from skeattn.datasets.inspection import copy_findings
from skeattn.datasets.packed import UNLABELLED
from skeattn.datasets.splits import ALL
from skeattn.errors import ConfigError


class Format(NamedTuple):
    """A module with ``convert(source, out, ...)``, its own options, and whether it takes several sources."""

    module: ModuleType
    options: dict[str, dict[str, Any]] = {}
    several: bool = False


NTU: dict[str, dict[str, Any]] = {
    '--dataset': {'choices': ['ntu60', 'ntu120'], 'help': 'default: derived from the actions in the files'},
    '--bodies': {'choices': list(BODIES), 'default': 'file_order', 'help': 'earlier name of --persons'},
}
PKUMMD: dict[str, dict[str, Any]] = {
    '--part': {'type': int, 'choices': [1, 2], 'help': 'default: derived from the names of the videos'},
    '--skip-list': {'metavar': 'FILE', 'help': 'names of clips or videos to omit, one per line'},
    '--unlisted': {
        'choices': ['neither', 'test'],
        'default': 'neither',
        'help': 'part of the clips whose video is not in a split file; the releases test on them (neither)',
    },
}
LAYOUT: dict[str, Any] = {'help': 'the skeleton: ntu25, coco17, ... or a .json file that defines it'}
OWN: dict[str, dict[str, Any]] = {
    '--classes': {'metavar': 'FILE', 'help': 'text file with one class per line (default: from the source)'},
    '--channels': {'metavar': 'NAMES', 'help': 'values of a joint, such as x,y,score (default: from their number)'},
}
PYSKL: dict[str, dict[str, Any]] = {
    '--layout': {**LAYOUT, 'required': True},
    **OWN,
    '--test': {'metavar': 'FILE', 'help': 'a second file with the test clips, if the first has no splits'},
    '--normalise': {'action': 'store_true', 'help': 'scale pixels by half the longer side, from the image centre'},
}
ARRAYS: dict[str, dict[str, Any]] = {
    '--layout': {**LAYOUT, 'default': 'ntu25'},
    **OWN,
    '--protocol': {
        'metavar': 'NAME',
        'dest': 'split',
        'default': 'split',
        'help': 'name of the split into two arrays (split)',
    },
}
LABELS: dict[str, Any] = {
    'metavar': 'FILE',
    'help': 'table with the columns name and label, or .npy array (labels.csv or labels.npy in SOURCE); '
    'none: every clip is an unlabelled one',
}
PLAIN: dict[str, dict[str, Any]] = {'--layout': {**LAYOUT, 'required': True}, **OWN, '--labels': LABELS}
ESTIMATOR: dict[str, dict[str, Any]] = {
    '--layout': {'help': f'{LAYOUT["help"]} (from the number of joints)'},
    '--classes': OWN['--classes'],
    '--labels': LABELS,
}
IMAGES = {'metavar': 'FILE', 'help': 'annotation file with clip and frame of the image ids'}
SCALE = {'type': float, 'default': 1.0, 'help': 'metres of a unit of the files, 0.01 for centimetres (1)'}
GENERATED: dict[str, dict[str, Any]] = {
    '--seed': {'type': int, 'default': 0},
    '--clips': {'type': int, 'default': 1200, 'help': 'number of clips (1200)'},
    '--raw': {'metavar': 'DIR', 'help': 'also write the clips as raw NTU .skeleton files'},
}

KINECT_SETS = ('msraction3d', 'utkinect', 'florence3d', 'sbu', 'kard', 'msrc12')

# A new format needs only a line here.
FORMATS = {
    'ntu': Format(converters.ntu, NTU, several=True),
    'pkummd': Format(converters.pkummd, PKUMMD, several=True),
    'nwucla': Format(converters.nwucla),
    'pyskl': Format(converters.pyskl, PYSKL),
    'stgcn_arrays': Format(
        converters.stgcn_arrays, {**ARRAYS, '--labels': {'metavar': 'DIR', 'help': 'folder of the .pkl files'}}
    ),
    'ctrgcn': Format(converters.ctrgcn, ARRAYS),
    'plain': Format(converters.plain, PLAIN),
    'openpose': Format(converters.openpose, ESTIMATOR),
    'alphapose': Format(converters.alphapose, ESTIMATOR),
    'mmpose': Format(converters.mmpose, ESTIMATOR),
    'coco': Format(converters.coco, {**ESTIMATOR, '--images': IMAGES}),
    'mediapipe': Format(converters.mediapipe, ESTIMATOR),
    'kinetics': Format(converters.kinetics, ESTIMATOR),
    'bvh': Format(converters.bvh, {**ESTIMATOR, '--scale': SCALE}),
    'c3d': Format(converters.c3d, ESTIMATOR),
    'sleap': Format(converters.sleap, ESTIMATOR),
    'deeplabcut': Format(converters.deeplabcut, ESTIMATOR),
    'utdmhad': Format(converters.utdmhad),
    **{name: Format(getattr(converters, name)) for name in KINECT_SETS},
    'synthetic': Format(synthetic, GENERATED),
}

# The set is written all the same; a few damaged files in a large set are usual.
ALLOW_SKIPPED = 0.02

# Options of formats whose ``convert`` has a parameter of the same name.
SHARED: dict[str, dict[str, Any]] = {
    'persons': {
        'choices': list(RULES),
        'help': 'which persons come first: as listed, by motion, by score, or longest identity over the frames (order)',
    },
    'max_persons': {'type': int, 'metavar': 'N', 'help': 'persons kept of a clip (all; ntu: 2)'},
    'strict': {'action': 'store_true', 'help': 'stop at the first unusable clip instead of skipping it'},
    'overwrite': {'action': 'store_true', 'help': 'replace a packed set at OUT'},
    'jobs': {'type': int, 'metavar': 'N', 'help': 'number of processes (all cores)'},
}


def parser() -> argparse.ArgumentParser:
    """The command line, with a subcommand per format."""
    top = cli.command_parser(
        __doc__,
        'skeattn convert ntu nturgbd_skeletons_s001_to_s017.zip --out data/ntu60',
        'skeattn convert synthetic --out data/demo',
    )
    formats = top.add_subparsers(required=True, metavar='FORMAT', dest='format')
    for name, (module, options, several) in FORMATS.items():
        about = (inspect.getdoc(module) or '').split('\n')[0]
        sub = formats.add_parser(name, help=about, description=about)
        parameters = inspect.signature(module.convert).parameters
        if 'source' in parameters:
            text = 'folder, file or zip archive with the raw data' + ('; several may be given' if several else '')
            sub.add_argument('source', metavar='SOURCE', nargs='+' if several else None, help=text)
        cli.add_debug(sub)
        sub.add_argument('--out', required=True, help='folder of the packed set, data/NAME')
        sub.add_argument(
            '--allow-skipped',
            type=float,
            default=ALLOW_SKIPPED,
            metavar='SHARE',
            help=f'share of the clips that may be skipped before the exit status is 1 ({ALLOW_SKIPPED})',
        )
        for option, settings in options.items():
            sub.add_argument(option, **settings)
        for option, settings in SHARED.items():
            if option in parameters:
                sub.add_argument(f'--{option.replace("_", "-")}', **{'default': parameters[option].default, **settings})
    return top


def summary(packed: PackedSet) -> str:
    """The content of the set, and the skipped clips with reasons."""
    frames, table, skipped = packed.table['frames'], packed.table, packed.manifest['skipped']
    labelled = table['label'] != UNLABELLED
    rows = [
        ('data set', packed.manifest['dataset']),
        ('layout', packed.layout.name),
        ('channels', ', '.join(packed.channels)),
        ('clips', len(packed)),
        ('classes', f'{len(np.unique(table["label"][labelled]))} of {len(packed.classes)}'),
        *([] if labelled.all() else [('unlabelled', f'{np.sum(~labelled)} clips, for pre-training')]),
        ('subjects', len(np.unique(table['subject']))),
        ('cameras', len(np.unique(table['camera']))),
        ('persons', ', '.join(f'{n} clips with {m}' for m, n in sorted(Counter(table['persons'].tolist()).items()))),
        ('frames min / median / max', f'{frames.min()} / {int(np.median(frames))} / {frames.max()}'),
        ('splits', ', '.join(dict.fromkeys((*packed.splits, ALL)))),
        *packed.manifest.get('notes', {}).items(),
        ('skipped', len(skipped)),
    ]
    copies = [f'warning: {finding}' for finding in copy_findings(packed, packed.copies())]
    kinds = by_kind(skipped)
    shared = [f'  skipped {len(skips)} clips{_reason(skips)}' for skips in kinds if len(skips) > 1]
    single = [f'  skipped {skips[0]["name"]}: {skips[0]["reason"]}' for skips in kinds if len(skips) == 1]
    more = [f'  and {len(single) - 20} more'] if len(single) > 20 else []
    listed = [f'  each is listed in {packed.path / "manifest.json"}'] if shared or more else []
    lines = [*shared, *single[:20], *more, *listed, *copies]
    return '\n'.join([f'wrote {packed.path}', tabulate(rows, tablefmt='simple'), *lines])


def by_kind(skipped: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Skipped clips whose reasons differ in names, files and numbers alone, the most first."""
    kinds: dict[str, list[dict[str, Any]]] = {}
    for skip in skipped:
        names = {skip['name'], PurePath(skip['name']).name}
        either = '|'.join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        reason = re.sub(rf'(?<!\w)(?:{either})(?!\w)', '', skip['reason'])
        kinds.setdefault(re.sub(r'\S*/\S*|\d+', '#', reason), []).append(skip)
    return sorted(kinds.values(), key=lambda skips: -len(skips))


def _reason(skips: list[dict[str, Any]]) -> str:
    """The reason that clips share, or that of one of them."""
    first = skips[0]
    same = all(skip['reason'] == first['reason'] for skip in skips)
    return f': {first["reason"]}' if same else f', such as {first["name"]}: {first["reason"]}'


def lost(packed: PackedSet, allowed: float) -> str:
    """An error of one line where more than the allowed share of the source's clips was skipped, otherwise empty.

    Clips that a list of the authors or the user leaves out are not lost.
    """
    skipped = [skip for skip in packed.manifest['skipped'] if not skip.get('intended')]
    total = len(packed) + len(skipped)
    if not skipped or len(skipped) <= allowed * total:
        return ''
    most = by_kind(skipped)[0]
    share = f'{len(skipped)} of {total} clips were skipped ({100 * len(skipped) / total:.3g} %)'
    return (
        f'error: {share}, more than --allow-skipped {allowed:g}; most often ({len(most)}){_reason(most)}; '
        f'{packed.path} holds the other {len(packed)}'
    )


def main(args: argparse.Namespace) -> int:
    """Convert, print the contents of the set; returns 1 if too many clips were skipped."""
    options = vars(args)
    allowed = options.pop('allow_skipped')
    if not 0 <= allowed <= 1:
        raise ConfigError(f'--allow-skipped {allowed:g} is no share between 0 and 1')
    module = FORMATS[options.pop('format')].module
    try:
        module.convert(**options)
    except KeyboardInterrupt:
        if 'jobs' in options:  # read file by file
            print('\nconverted clips are kept; the same command continues with them', file=sys.stderr)
        raise
    packed = PackedSet.open(options['out'])
    print(summary(packed))
    if module is converters.ntu:
        print(converters.ntu.compare_with_published(packed))
    if problem := lost(packed, allowed):
        print(problem, file=sys.stderr)
    return 1 if problem else 0
