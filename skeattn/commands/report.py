"""Write one HTML page on trainings: numbers, curves, classes, and a map of the clips, which play when chosen.

The page is one file that needs no network. WORK_DIR is the folder of a training, NAME=WORK_DIR names it on the page; a
folder of work_dirs stands for all of them. Parts whose files are missing (checkpoint, data, log, record) say so on the
page. Nothing in a work_dir is executed. See docs/report.md.
"""

import argparse

from skeattn import cli
from skeattn.choices import MAP_METHODS


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = cli.command_parser(
        __doc__,
        'skeattn report work_dirs/quickstart --out quickstart.html',
        'skeattn report SkeAttnCLR=work_dirs/a SkeletonCLR=work_dirs/b --method pca',
    )
    top.add_argument('work_dirs', nargs='+', metavar='WORK_DIR', help='folder of a training, or NAME=folder')
    top.add_argument('--out', metavar='FILE', help='the page (report.html in the first WORK_DIR)')
    top.add_argument('--method', choices=MAP_METHODS, default='tsne', help='of the map; umap needs umap-learn (tsne)')
    top.add_argument('--limit', type=int, default=2000, help='maximum number of evenly spaced clips on a map (2000)')
    top.add_argument('--neighbours', type=int, default=5, help='training clips shown beside a clip (5)')
    top.add_argument('--seed', type=int, default=0, help='of the map (0)')
    top.add_argument('--device', help='cpu or cuda (the accelerator if there is one)')
    cli.add_imports(top)
    cli.add_cfg_options(top, help='override dataset.* of all runs for the map, such as dataset.data=FOLDER')
    return top


def main(args: argparse.Namespace) -> None:
    """Write the page and print what it lacks."""
    from pathlib import Path

    from skeattn.errors import ConfigError
    from skeattn.report import MapOptions, write_report

    if args.limit < 4 or args.neighbours < 1:
        raise ConfigError(f'--limit {args.limit} must be at least 4, and --neighbours {args.neighbours} at least 1')
    if others := [key for key in args.cfg_options if not key.startswith('dataset.')]:
        raise ConfigError(f'--cfg-options {others[0]}: the map reads dataset.* alone, such as dataset.data=FOLDER')
    first = args.work_dirs[0]
    folder = Path(first if Path(first).exists() else first.partition('=')[2] or first)
    out = cli.output(args.out, folder / 'report.html')
    if out.suffix.lower() not in ('.html', '.htm'):
        raise ConfigError(f'--out {out}: the page is HTML; give a name that ends with .html')
    device = cli.device_or_best(args.device)
    options = MapOptions(args.method, args.seed, args.limit, args.neighbours, device, args.cfg_options)
    runs = write_report(args.work_dirs, out, options)
    for run in runs:
        for part, reason in run.missing.items():
            print(f'{run.name}: no {part}: {reason}')
    print(f'wrote {out}: {len(runs)} run{"s" if len(runs) > 1 else ""}, {out.stat().st_size / 1e6:.1f} MB')
