"""The page of a check: its report as Markdown."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tabulate import tabulate

from skeattn.benchmark.stages import FINISHED

NEEDS_A_GPU = 'needs a GPU'
Result = Mapping[str, Any]


def page(report: Mapping[str, Any]) -> str:
    """The page of a report of :class:`~skeattn.benchmark.stages.Check`."""
    subject, records = report['subject'], report['stages']
    commit = subject['commit'][:10] or f'version {subject["versions"]["skeattn"]}'
    changed = f', tracked files changed ({subject["changes"]})' if subject['changes'] else ''
    parts = ['# GPU check', f'{subject["hardware"]}; torch {subject["versions"]["torch"]}; {commit}{changed}']
    if subject['device'] == 'cpu':
        parts.append(f'**Run on a CPU**: every goal {NEEDS_A_GPU}, and so do busy share, kernels and gaps.')
    if subject['tiny']:
        parts.append(
            '**Dry run with tiny sizes**: the numbers say nothing, and of the recipes only the plan is listed.'
        )
    rows = [(name, r['state'], f'{r["seconds"]:.0f}', _last_line(r)) for name, r in records.items()]
    parts.append(_table(rows, ('stage', 'state', 'seconds', 'why not finished')))
    parts += [_goals(records)] if subject['device'] != 'cpu' and not subject['tiny'] else []
    for name, record in records.items():
        parts.append(f'## {name}')
        if record['result'] is not None:
            parts += SECTIONS[name](record['result'])
        if record['state'] != FINISHED:
            parts.append(f'{record["state"]}:\n\n```\n{record["note"]}\n```')
    return '\n\n'.join(parts) + '\n'


def _last_line(record: Mapping[str, Any]) -> str:
    lines = [line for line in record['note'].splitlines() if line.strip()]
    return lines[-1].replace('|', '/') if lines and record['state'] != FINISHED else ''


def _goals(records: Mapping[str, Mapping[str, Any]]) -> str:
    """The goals for a GPU beside what was found."""
    benchmark, profile, epoch = (records[name]['result'] or {} for name in ('benchmark', 'profile', 'epoch'))
    ratios = [
        row['ratio']
        for group in benchmark.get('sections', {}).get('steps', [])
        for row in group['rows']
        if group['title'].startswith('SkeAttnCLR') and row['name'].startswith('ours')
    ]
    gpu = profile.get('gpu')
    rows = [
        (
            'SkeAttnCLR step, times faster than the float32 reference',
            'at least 6',
            f'{max(ratios):.2f}' if ratios else '',
        ),
        ('step / floor', 'at most 2', f'{profile["times_floor"]:.2f}' if profile else ''),
        ('busy share', 'over 95 %', f'{100 * gpu["busy_share"]:.1f} %' if gpu else ''),
        ('NTU-60, 300 epochs, projected', 'under 1 h', f'{epoch["hours"]:.2f} h' if epoch else ''),
    ]
    return _table(rows, ('goal on one H100 or H200', 'wanted', 'found'))


def tests_section(result: Result) -> list[str]:
    """Counts, failed tests, skipped tests with their reasons."""
    failed, skipped = result['failed'], result['skipped']
    lines = [f'{result["passed"]} passed, {len(failed)} failed, {len(skipped)} skipped']
    lines += ['\n'.join(f'- failed: `{name}`' for name in failed)] if failed else []
    lines += ['\n'.join(f'- skipped: `{name}`: {why}' for name, why in skipped.items())] if skipped else []
    return lines


def benchmark_section(result: Result) -> list[str]:
    """All groups in one table; the first row of a group is its reference."""
    rows = [
        (
            section,
            group['title'],
            row['name'],
            f'{row["median_ms"]:.4g}',
            f'{row["ratio"]:.2f}',
            f'{row["per_second"]:.4g}',
        )
        for section, groups in result['sections'].items()
        for group in groups
        for row in group['rows']
    ]
    heads = ('section', 'group', '', 'ms', 'times faster than the first row', 'per s')
    return [f'{result["clock"]}, {result["rounds"]} rounds, batch {result["setting"]["batch"]}', _table(rows, heads)]


def profile_section(result: Result) -> list[str]:
    """Step and floor; kernels and gaps."""
    lines = [
        f'{result["config"]}, {_setting(result)}: step {result["step_ms"]:.4g} ms, floor '
        f'{result["floor_ms"]:.4g} ms, of which {result["computing_ms"]:.4g} bound by computing and '
        f'{result["moving_ms"]:.4g} by memory; step / floor {result["times_floor"]:.2f}; '
        f'{result["operations"]} operations, {result["flops"] / 1e9:.4g} GFLOP, {result["bytes"] / 1e9:.4g} GB',
        _ranked('dearest operations of the floor', result['dearest'], ('name',)),
    ]
    gpu = result['gpu']
    if not gpu:
        why = NEEDS_A_GPU if gpu is None else 'the profiler saw no kernels; the driver may not allow profiling'
        return [*lines, *(f'{what}: {why}' for what in ('Busy share', 'Longest kernels', 'Dearest gaps'))]
    lines.append(
        f'Under the profiler, which slows launches: busy {100 * gpu["busy_share"]:.1f} % ({gpu["busy_ms"]:.4g} of '
        f'{gpu["wall_ms"]:.4g} ms a step), {gpu["kernels"]:.0f} kernels a step. Without it: '
        f'{gpu["busy_ms"]:.4g} of {result["step_ms"]:.4g} ms'
    )
    longest = _ranked('longest kernels', gpu['longest'], ('name',))
    return [*lines, longest, _ranked('dearest gaps', gpu['gaps'], ('before', 'after'))]


def epoch_section(result: Result) -> list[str]:
    """One epoch and its projection."""
    where = 'on the accelerator' if result['resident'] else 'in host memory'
    return [
        f'{result["clips"]:,} random clips {where}, {_setting(result)}, with hooks and '
        f'checkpoint: {result["seconds"]:.1f} s, {result["iterations"]} iterations; after the first ones '
        f'{result["step_ms"]:.4g} ms each, {result["clips_per_second"]:,.0f} clips/s. Projected to {result["epochs"]} '
        f'epochs, without evaluation: {result["hours"]:.2f} h'
    ]


def recipes_section(result: Result) -> list[str]:
    """Finished runs and the table."""
    runs = result['runs']
    lines = [f'{sum(run["state"] == FINISHED for run in runs)} of {len(runs)} runs are finished']
    lines.append(_table([(run['run'], run['state']) for run in runs], ('run', 'state')))
    return [*lines, result['table']] if result['table'] else lines


SECTIONS: Mapping[str, Callable[[Result], list[str]]] = {
    'tests': tests_section,
    'benchmark': benchmark_section,
    'profile': profile_section,
    'epoch': epoch_section,
    'recipes': recipes_section,
}


def _setting(result: Result) -> str:
    switches = [f'{key}={value}' for key, value in result['switches'].items()]
    return ', '.join([f'batch {result["batch"]}', result['precision'], *switches])


def _ranked(title: str, rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    cells = [(*(f'`{row[name]}`' for name in names), f'{row["ms"]:.4g}', f'{row["calls"]:.4g}') for row in rows]
    return f'{title.capitalize()}, of one step:\n\n{_table(cells, (*names, "ms", "calls"))}'


def _table(rows: Sequence[Sequence[str]], heads: Sequence[str]) -> str:
    return tabulate(rows, heads, tablefmt='github', disable_numparse=True)
