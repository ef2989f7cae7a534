"""Draw learning curves of training runs, or of protocols in records.

    python tools/analysis_tools/plot_curves.py work_dirs/a work_dirs/b
    python tools/analysis_tools/plot_curves.py SkeAttnCLR=DIR,DIR SkeletonCLR=DIR,DIR --metric knn/top1_k1 loss
    python tools/analysis_tools/plot_curves.py queue=DIR,DIR matched=DIR,DIR --losses
    python tools/analysis_tools/plot_curves.py SkeAttnCLR=RECORD,RECORD --protocol linear

RUN is a work_dir of a training run or a JSON record of tools/test.py, or NAME= and several of them, comma-separated.
These are seeds, drawn as their mean and a band from the minimum to the maximum. Work_dirs and records cannot be mixed.
"""

import argparse

from skeattn import cli


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('runs', nargs='+', metavar='RUN')
    top.add_argument('--metric', nargs='+', help='logged names of the panels (accuracy, and the losses of each run)')
    top.add_argument('--losses', action='store_true', help='only the terms of the loss, a panel per run on one scale')
    top.add_argument('--protocol', default='linear', help='of the curves in records (linear)')
    top.add_argument('--source', help='features, if a record has several')
    top.add_argument('--title', default='')
    top.add_argument('--out', metavar='FILE', help='picture (work_dirs/curves.png)')
    return top


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

from pathlib import Path

from skeattn.errors import ConfigError, DataError
from skeattn.results.recorded import read_result
from skeattn.visualization.curves import Series, draw_curves, draw_losses, draw_series, logged, read_logs

DEFAULTS = ('knn/top1_k1', 'linear/top1', 'topk/top1')
"""Accuracies to draw without --metric; the first that is logged is taken."""


def parse_runs(arguments: list[str]) -> dict[str, list[Path]]:
    """Name -> work_dirs or records.

    Raises:
        ConfigError: two runs have one name, or a name has no path.
    """
    runs: dict[str, list[Path]] = {}
    for argument in arguments:
        name, grouped, paths = argument.partition('=')
        group = [Path(path) for path in (paths.split(',') if grouped else [argument]) if path]
        if not grouped:
            name = group[0].stem if group[0].is_file() else group[0].resolve().name
        if not group or not name:
            raise ConfigError(f'{argument}: name or path is missing; write NAME=PATH,PATH')
        if name in runs:
            raise ConfigError(f'two runs have the name {name!r}; give other names, NAME={",".join(map(str, group))}')
        runs[name] = group
    return runs


def curves_of_records(
    runs: dict[str, list[Path]], protocol: str, source: str | None, metrics: list[str] | None
) -> dict[str, dict[str, list[Series]]]:
    """Quantity -> run -> values by epoch of each seed.

    Raises:
        DataError: a record has no curves or lacks a requested one, or the records have no curve in common or different
            readouts.
    """
    results = {name: [read_result(path, protocol, source) for path in paths] for name, paths in runs.items()}
    readouts = dict.fromkeys(one.readout for group in results.values() for one in group)
    if len(readouts) > 1:
        raise DataError(f'the records differ in their readouts, {", ".join(readouts)}; draw them in separate calls')
    curves = {name: [one.curves for one in group] for name, group in results.items()}
    common = [
        key for key in next(iter(curves.values()))[0] if all(key in one for group in curves.values() for one in group)
    ]
    if missing := [metric for metric in metrics or () if metric not in common]:
        raise DataError(f'curve {missing[0]!r} is not in all records; choose from {", ".join(common) or "none"}')
    if not common:
        raise DataError(f'the records have no curve of {protocol} in common; choose a different --protocol')
    return {
        metric: {name: [dict(enumerate(one[metric], 1)) for one in group] for name, group in curves.items()}
        for metric in metrics or common
    }


def main() -> None:
    args = parser().parse_args()
    runs, out = parse_runs(args.runs), cli.output(args.out, 'work_dirs/curves.png')
    kinds = {path.suffix == '.json' for paths in runs.values() for path in paths}
    if len(kinds) > 1:
        raise ConfigError('some runs are work_dirs and some are records; draw them in separate calls')
    if args.losses and (args.metric or kinds == {True}):
        raise ConfigError('--losses draws the logged losses of work_dirs; omit --metric and give no records')
    if args.losses:
        draw_losses(runs, out, args.title)
    elif kinds == {True}:
        draw_series(curves_of_records(runs, args.protocol, args.source, args.metric), out, args.title)
    else:
        logs = read_logs(runs)
        if args.metric:
            draw_series({metric: logged(logs, metric) for metric in args.metric}, out, args.title)
        else:
            common = [key for key in DEFAULTS if all(key in log.val for group in logs.values() for log in group)]
            draw_curves(runs, out, common[0] if common else DEFAULTS[0], title=args.title)
    print(f'wrote {out}')


if __name__ == '__main__':
    cli.run(main)
