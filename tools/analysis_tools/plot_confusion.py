"""Draw the confusion matrix of records, and print the most confused classes.

    python tools/analysis_tools/plot_confusion.py RECORD… [--protocol linear]

The counts of several records, seeds of one method, are added.
"""

import argparse

from skeattn import cli


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('records', nargs='+', metavar='RECORD', help='JSON records of tools/test.py')
    top.add_argument('--protocol', default='linear', help='of the predictions (linear)')
    top.add_argument('--source', help='features, if a record has several')
    top.add_argument('--pairs', type=int, default=10, help='most confused pairs to print (10)')
    top.add_argument('--format', default='simple', choices=['simple', 'github'], help='github: Markdown')
    top.add_argument('--out', metavar='FILE', help='picture (confusion_<protocol>.png beside the first record)')
    return top


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

import numpy as np
from tabulate import tabulate

from skeattn.errors import ConfigError
from skeattn.results.recorded import check_comparable, read_result
from skeattn.visualization.confusion import draw_confusion, most_confused


def main() -> None:
    args = parser().parse_args()
    if args.pairs < 1:
        raise ConfigError(f'--pairs {args.pairs} is too small; give at least 1')
    results = [read_result(path, args.protocol, args.source) for path in args.records]
    check_comparable(results, ('name', 'stream', 'source'))
    first = results[0]
    out = cli.output(args.out, first.path.with_name(f'confusion_{args.protocol}.png'))
    counts = np.sum([one.confusion for one in results], axis=0)
    pairs = [
        (first.classes[i], first.classes[j], f'{clips}', f'{percent:.1f}')
        for i, j, clips, percent in most_confused(counts, args.pairs)
    ]
    right = 100 * np.trace(counts) / max(counts.sum(), 1)
    parts = dict.fromkeys(one.result.scores_of for one in results if one.result.scores_of)
    of = f' ({" or ".join(parts)})' if parts else ''
    title = f'{first.name}, {first.stream} stream, {args.protocol}{of}: {right:.1f} % of {counts.sum():,} clips'
    if len(results) > 1:
        title += f' of {len(results)} records'
    draw_confusion(counts, first.classes, out, title)
    print(title)
    headings = ('true', 'predicted', 'clips', '% of the true class')
    align = ('left', 'left', 'right', 'right')
    print(tabulate(pairs, headings, tablefmt=args.format, disable_numparse=True, colalign=align))
    print(f'wrote {out}')


if __name__ == '__main__':
    cli.run(main)
