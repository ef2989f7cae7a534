"""Gain by class: accuracy of a method and of a baseline, both over their seeds.

    python tools/analysis_tools/class_gain.py --baseline RECORD… --ours RECORD… [--protocol linear]

Give one record per seed. One test clip changes the accuracy of a small class by many points: see the column of clips.
"""

import argparse

from skeattn import cli


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('--baseline', nargs='+', required=True, metavar='RECORD', help='JSON records of tools/test.py')
    top.add_argument('--ours', nargs='+', required=True, metavar='RECORD', help='JSON records of tools/test.py')
    top.add_argument('--protocol', default='linear', help='of the predictions (linear)')
    top.add_argument('--source', help='features, if a record has several')
    top.add_argument('--format', default='simple', choices=['simple', 'github'], help='github: Markdown')
    top.add_argument('--out', metavar='FILE', help='picture (class_gain_<protocol>.png beside the first of --ours)')
    return top


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

from skeattn.results.class_gain import class_gains, gains_table
from skeattn.results.recorded import read_result
from skeattn.visualization.gains import draw_gains

NOTE = (
    'Accuracy by class on the test clips in %, mean ± standard deviation over seeds; gain in percentage points. The '
    'same clips\ndetermine the order of the classes: chance exaggerates the extremes.'
)


def main() -> None:
    args = parser().parse_args()
    baseline, ours = (
        [read_result(path, args.protocol, args.source) for path in paths] for paths in (args.baseline, args.ours)
    )
    gains = class_gains(baseline, ours)
    out = cli.output(args.out, ours[0].path.with_name(f'class_gain_{args.protocol}.png'))
    names = baseline[0].name, ours[0].name
    draw_gains(gains, out, f'{names[1]} over {names[0]}, {args.protocol}')
    print(gains_table(gains, *names, args.format))
    print(f'{NOTE}\nwrote {out}')


if __name__ == '__main__':
    cli.run(main)
