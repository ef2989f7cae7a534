"""The stages of ``tools/gpu_check.sh``: tests, profile, epoch, benchmark, recipes."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from skeattn.benchmark.stages import Stage
from skeattn.errors import SkeAttnError

ROOT = Path(__file__).resolve().parents[2]
SECTIONS = ('views', 'steps', 'extraction', 'knn', 'probes')
DATA = Path('data/nwucla')
RECIPES = ['tools/run_table.py', '1', '--dataset', 'nwucla_xview', '--methods', 'skeattnclr', 'skeletonclr']
RECIPES += ['--protocol', 'probe', '--seeds', '0', '1', '2']
RECIPES += ['--cfg-options', 'model.backbone.base_channels=64', 'evaluation.readout=joints']
TABLE = Path('work_dirs/tables/1_nwucla_xview_probe/table.md')
STATES = ('finished', 'to be evaluated', 'to be trained')
MINUTES = {'tests': 5.0, 'profile': 4.0, 'epoch': 4.0, 'benchmark': 9.0, 'recipes': 5.0}
"""What a stage needs on an H200; two of the minutes of profile and epoch are compiling."""
TINY_MINUTES = 0.1


def stages(device: str, tiny: bool) -> list[Stage]:
    """All stages.

    Args:
        device: ``'cuda'`` or ``'cpu'``.
        tiny: smallest sizes, few tests, and of the recipes the plan alone.
    """
    python = sys.executable

    def tests(folder: Path) -> list[str]:
        command = [
            python,
            '-m',
            'pytest',
            '-q',
            '-p',
            'no:cacheprovider',
            'tests/gpu',
            f'--junitxml={folder}/tests.xml',
        ]
        return [*command, '-k', 'skeletonclr and finite'] if tiny else command

    def benchmark(folder: Path) -> list[str]:
        sizes = ['--tiny', '--rounds', '1'] if tiny else ['--batch', '128']
        out = ['--device', device, '--out', f'{folder}/benchmark.json']
        return [python, 'tools/analysis_tools/benchmark.py', *SECTIONS, *sizes, *out]

    def measure(what: str, folder: Path) -> list[str]:
        command = [python, '-m', 'skeattn.benchmark.measure', what, f'{folder}/{what}.json', device]
        return [*command, '--tiny'] if tiny else command

    def recipes(folder: Path) -> list[str]:
        return [python, *RECIPES, '--dry-run'] if tiny else [python, *RECIPES]

    minutes = dict.fromkeys(MINUTES, TINY_MINUTES) if tiny else MINUTES
    return [
        Stage('tests', minutes['tests'], tests, _tests),
        *(Stage(what, minutes[what], partial(measure, what), partial(_json, what)) for what in ('profile', 'epoch')),
        Stage('benchmark', minutes['benchmark'], benchmark, partial(_json, 'benchmark')),
        Stage('recipes', minutes['recipes'], recipes, partial(_recipes, device, tiny), _data_missing, continues=True),
    ]


def environment_of(device: str) -> dict[str, str]:
    """Changes to the environment of the stages: this checkout, the device of the tests, no GPU for the CPU."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get('PYTHONPATH')]))
    hidden = {'CUDA_VISIBLE_DEVICES': ''} if device == 'cpu' else {}
    threads = {'OMP_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1'}
    return {'PYTHONPATH': path, 'SKEATTN_TEST_DEVICE': device, **threads, **hidden}


def outcomes(report: str) -> dict[str, Any]:
    """Counts and names of a JUnit report.

    Returns:
        ``passed`` (their number), ``failed`` (names), ``skipped`` (name -> reason).
    """
    passed, failed, skipped = 0, [], {}
    for case in ElementTree.fromstring(report).iter('testcase'):
        name, skip = case.get('name', ''), case.find('skipped')
        if case.find('failure') is not None or case.find('error') is not None:
            failed.append(name)
        elif skip is not None:
            skipped[name] = skip.get('message', '')
        else:
            passed += 1
    return {'passed': passed, 'failed': failed, 'skipped': skipped}


def _tests(folder: Path, status: int | None) -> dict[str, Any]:
    if status not in (0, 1):  # 1: some tests have failed
        raise SkeAttnError(f'pytest ended with status {status}')
    return outcomes((folder / 'tests.xml').read_text())


def _json(what: str, folder: Path, status: int | None) -> Mapping[str, Any]:
    if status:
        raise SkeAttnError(f'{what} ended with status {status}')
    return json.loads((folder / f'{what}.json').read_text())


def _data_missing() -> str:
    if (ROOT / DATA / 'manifest.json').is_file():
        return ''
    return (
        f'no {DATA}; download NW-UCLA (docs/data.md) and run: python tools/convert.py nwucla all_sqe.zip --out {DATA}'
    )


def planned(lines: str) -> list[dict[str, str]]:
    """The runs that ``run_table.py --dry-run`` prints: ``{'state', 'run'}``."""
    found = []
    for line in lines.splitlines():
        state = next((state for state in STATES if line.startswith(f'{state} ')), None)
        if state:
            found.append({'state': state, 'run': line.removeprefix(state).strip()})
    return found


def _recipes(device: str, tiny: bool, folder: Path, status: int | None) -> dict[str, Any]:
    command = [sys.executable, *RECIPES, '--dry-run']
    env = {**os.environ, **environment_of(device)}
    plan = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=env)
    if plan.returncode or status:
        raise SkeAttnError(f'run_table.py ended with status {status or plan.returncode}\n{plan.stderr}')
    done = status == 0 and not tiny and (ROOT / TABLE).is_file()
    return {'runs': planned(plan.stdout), 'table': (ROOT / TABLE).read_text() if done else ''}
