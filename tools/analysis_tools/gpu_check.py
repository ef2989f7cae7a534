"""Check a machine with a GPU and write one page: tests, benchmark, profile, an epoch at NTU-60 size, recipes.

    bash tools/gpu_check.sh 30
    bash tools/gpu_check.sh --device cpu --tiny

gpu_check.sh runs this script after the installation. The same command continues after an interruption; finished stages
of the same commit are not repeated. Results: work_dirs/gpu_check/report.md and report.json.
"""

import argparse
from pathlib import Path

from skeattn import cli


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('minutes', nargs='?', type=float, default=30.0, metavar='MINUTES', help='of this call (30)')
    top.add_argument('--device', choices=('cuda', 'cpu'), default='cuda', help='cpu: to try the tool (cuda)')
    top.add_argument('--tiny', action='store_true', help='smallest sizes, to try the tool; the numbers say nothing')
    top.add_argument('--work-dir', type=Path, default=Path('work_dirs/gpu_check'), metavar='DIR')
    top.add_argument('--elapsed', type=float, default=0.0, metavar='SECONDS', help='already used, by the installation')
    return top


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

import os
import time

from skeattn.benchmark.gpu_check import ROOT, environment_of, stages
from skeattn.benchmark.page import page
from skeattn.benchmark.stages import FAILED, Check, subject
from skeattn.errors import ConfigError
from skeattn.experiments.process import Clock, leave_on_sigterm


def main() -> int:
    args = parser().parse_args()
    try:
        cli.device(args.device)
    except ConfigError as error:
        raise ConfigError(f'{error}; the dry run is --device cpu --tiny') from error
    out = args.work_dir.resolve()
    os.chdir(ROOT)
    leave_on_sigterm()
    clock, end = Clock(), time.monotonic() + 60 * args.minutes - args.elapsed
    check = Check(
        stages(args.device, args.tiny),
        out,
        subject(args.device, args.tiny, ROOT),
        page,
        lambda: (end - time.monotonic()) / 60,
        environment_of(args.device),
        ROOT,
        clock.report,
    )
    report = check.run()
    clock.report(f'the page is {args.work_dir / "report.md"}')
    tests = report['stages']['tests']['result'] or {'failed': []}
    broken = any(record['state'] == FAILED for record in report['stages'].values())
    return 1 if broken or tests['failed'] else 0


if __name__ == '__main__':
    cli.run(main)
