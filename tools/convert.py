"""Convert raw files to a packed set: python tools/convert.py FORMAT SOURCE --out data/NAME"""

import argparse
import inspect
import sys
from collections import Counter
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from tabulate import tabulate

from skeattn import cli
from skeattn.datasets import PackedSet, synthetic
from skeattn.datasets.converters import ctrgcn, ntu, nwucla, pkummd, plain, pyskl, stgcn_arrays, utdmhad
from skeattn.datasets.converters.persons import RULES
from skeattn.datasets.inspection import copy_findings


class Format(NamedTuple):
    """A module with ``convert(source, out, ...)``, its own options, and whether it takes several sources."""

    module: ModuleType
    options: dict[str, dict[str, Any]] = {}
    several: bool = False


NTU = {
    '--dataset': {'choices': ['ntu60', 'ntu120'], 'help': 'default: derived from the actions in the files'},
    '--bodies': {'choices': list(ntu.BODIES), 'default': 'file_order', 'help': 'earlier name of --persons'},
}
PKUMMD = {
    '--part': {'type': int, 'choices': [1, 2], 'help': 'default: derived from the names of the videos'},
    '--skip-list': {'metavar': 'FILE', 'help': 'names of clips or videos to omit, one per line'},
    '--unlisted': {
        'choices': ['neither', 'test'],
        'default': 'neither',
        'help': 'part of the clips whose video is not in a split file; the releases test on them (neither)',
    },
}
LAYOUT = {'help': 'the skeleton: ntu25, coco17, ... or a .json file that defines it'}
OWN = {
    '--classes': {'metavar': 'FILE', 'help': 'text file with one class per line (default: from the source)'},
    '--channels': {'metavar': 'NAMES', 'help': 'values of a joint, such as x,y,score (default: from their number)'},
}
PYSKL = {
    '--layout': {**LAYOUT, 'required': True},
    **OWN,
    '--test': {'metavar': 'FILE', 'help': 'a second file with the test clips, if the first has no splits'},
    '--normalise': {'action': 'store_true', 'help': 'scale pixels by half the longer side, from the image centre'},
}
ARRAYS = {
    '--layout': {**LAYOUT, 'default': 'ntu25'},
    **OWN,
    '--protocol': {
        'metavar': 'NAME',
        'dest': 'split',
        'default': 'split',
        'help': 'name of the split into two arrays (split)',
    },
}
PLAIN = {
    '--layout': {**LAYOUT, 'required': True},
    **OWN,
    '--labels': {'metavar': 'FILE', 'help': 'table with the columns name and label (SOURCE/labels.csv)'},
}
GENERATED = {
    '--seed': {'type': int, 'default': 0},
    '--clips': {'type': int, 'default': 1200, 'help': 'number of clips (1200)'},
    '--raw': {'metavar': 'DIR', 'help': 'also write the clips as raw NTU .skeleton files'},
}

# A new format needs only a line here.
FORMATS = {
    'ntu': Format(ntu, NTU, several=True),
    'pkummd': Format(pkummd, PKUMMD, several=True),
    'nwucla': Format(nwucla),
    'pyskl': Format(pyskl, PYSKL),
    'stgcn_arrays': Format(
        stgcn_arrays, {**ARRAYS, '--labels': {'metavar': 'DIR', 'help': 'folder of the .pkl files'}}
    ),
    'ctrgcn': Format(ctrgcn, ARRAYS),
    'plain': Format(plain, PLAIN),
    'utdmhad': Format(utdmhad),
    'synthetic': Format(synthetic, GENERATED),
}

# Options of formats whose ``convert`` has a parameter of the same name.
SHARED = {
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
    top = argparse.ArgumentParser(description=__doc__)
    formats = top.add_subparsers(required=True, metavar='FORMAT', dest='format')
    for name, (module, options, several) in FORMATS.items():
        about = inspect.getdoc(module).split('\n')[0]
        sub = formats.add_parser(name, help=about, description=about)
        parameters = inspect.signature(module.convert).parameters
        if 'source' in parameters:
            text = 'folder, file or zip archive with the raw data' + ('; several may be given' if several else '')
            sub.add_argument('source', metavar='SOURCE', nargs='+' if several else None, help=text)
        sub.add_argument('--out', required=True, help='folder of the packed set, data/NAME')
        for option, settings in options.items():
            sub.add_argument(option, **settings)
        for option, settings in SHARED.items():
            if option in parameters:
                sub.add_argument(f'--{option.replace("_", "-")}', **{'default': parameters[option].default, **settings})
    return top


def summary(packed: PackedSet) -> str:
    """The content of the set, and the skipped clips with reasons."""
    frames, table, skipped = packed.table['frames'], packed.table, packed.manifest['skipped']
    rows = [
        ('data set', packed.manifest['dataset']),
        ('layout', packed.layout.name),
        ('channels', ', '.join(packed.channels)),
        ('clips', len(packed)),
        ('classes', f'{len(np.unique(table["label"]))} of {len(packed.classes)}'),
        ('subjects', len(np.unique(table['subject']))),
        ('cameras', len(np.unique(table['camera']))),
        ('persons', ', '.join(f'{n} clips with {m}' for m, n in sorted(Counter(table['persons'].tolist()).items()))),
        ('frames min / median / max', f'{frames.min()} / {int(np.median(frames))} / {frames.max()}'),
        ('splits', ', '.join(packed.splits)),
        *packed.manifest.get('notes', {}).items(),
        ('skipped', len(skipped)),
    ]
    # A reason that many clips share, such as a list of the data set's authors, is printed once.
    copies = [f'warning: {finding}' for finding in copy_findings(packed, packed.copies())]
    reasons = Counter(skip['reason'] for skip in skipped)
    shared = [f'  skipped {count} clips: {reason}' for reason, count in reasons.items() if count > 1]
    single = [f'  skipped {skip["name"]}: {skip["reason"]}' for skip in skipped if reasons[skip['reason']] == 1]
    more = [f'  and {len(single) - 20} more, listed in {packed.path / "manifest.json"}'] if len(single) > 20 else []
    return '\n'.join([f'wrote {packed.path}', tabulate(rows, tablefmt='simple'), *shared, *single[:20], *more, *copies])


def main() -> None:
    options = vars(parser().parse_args())
    module = FORMATS[options.pop('format')].module
    try:
        module.convert(**options)
    except KeyboardInterrupt:
        if 'jobs' in options:  # read file by file
            print('\nconverted clips are kept; the same command continues with them', file=sys.stderr)
        raise
    packed = PackedSet.open(options['out'])
    print(summary(packed))
    if module is ntu:
        print(ntu.compare_with_published(packed))


if __name__ == '__main__':
    cli.run(main)
