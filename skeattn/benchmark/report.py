"""Sections by name, their tables, and the record of a run."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from tabulate import tabulate

from skeattn.benchmark import evaluating, surroundings, training
from skeattn.benchmark.ceilings import ceilings
from skeattn.benchmark.rounds import Clock, Group, Row, measure_group
from skeattn.benchmark.scaling import scaling
from skeattn.benchmark.setting import Setting
from skeattn.choices import BENCHMARKS
from skeattn.results.provenance import environment

_GROUPS = (
    training.views,
    training.backbones,
    training.steps,
    evaluating.extraction,
    evaluating.knn,
    evaluating.probes,
    surroundings.conversion,
    surroundings.startup,
    scaling,
)
SECTIONS: Mapping[str, Callable[[Setting], Iterator[Group]]] = dict(zip(BENCHMARKS, _GROUPS, strict=True))
"""Name -> groups of variants; built one by one, so that a group's models are freed before the next."""
HEADINGS = ('', 'ms', 'quartiles', 'times faster', 'quartiles', 'per s', 'GFLOP/s', 'GB/s', 'operations', 'peak MiB')


def run(
    sections: Sequence[str],
    setting: Setting,
    rounds: int,
    show: Callable[[str], None] = print,
    extra: Sequence[Group] = (),
) -> dict[str, Any]:
    """Measure sections and show every group when it is done.

    Args:
        sections: names of :data:`SECTIONS`.
        setting: sizes and device.
        rounds: timed calls of every variant.
        show: receives the lines.
        extra: groups beside those of the sections; in the record their section is ``'config'``.

    Returns:
        the record: ``setting``, ``rounds``, ``clock``, ``device``, ``ceilings``, ``sections`` (name -> list of
        ``{'title', 'rows'}``, rows as in :func:`~skeattn.benchmark.rounds.measure_group`), and versions, commit and
        hardware as in every record.
    """
    clock = Clock(setting.device, torch.get_num_threads())
    facts = environment()
    limits = ceilings(clock, setting.matrix, setting.copied)
    show(f'{facts["hardware"]}, {setting.device}, {facts["threads"]} threads, torch {torch.__version__}; {clock.name}, '
         f'{rounds} rounds')  # fmt: skip
    show(in_words(limits))
    measured: dict[str, list[dict[str, Any]]] = {}
    for name, group in _groups(sections, setting, extra):
        rows = measure_group(group, rounds, clock)
        measured.setdefault(name, []).append({'title': group.title, 'rows': rows})
        show(f'\n{name}: {group.title} ({group.unit})\n{table(rows)}')
    settings = dataclasses.asdict(setting)
    record = {'setting': settings, 'rounds': rounds, 'clock': clock.name, 'device': settings.pop('device')}
    return record | {'ceilings': limits, 'sections': measured, **facts}


def _groups(sections: Sequence[str], setting: Setting, extra: Sequence[Group]) -> Iterator[tuple[str, Group]]:
    yield from (('config', group) for group in extra)
    for section in sections:
        for group in SECTIONS[section](setting):
            yield section, group


def in_words(limits: Mapping[str, float]) -> str:
    """The ceilings in a line."""
    rates = [f'{name.replace("_", " ")} {limits[name]:.0f}' for name in limits if name != 'copy']
    return f'ceilings: {", ".join(rates)} GFLOP/s; copy {limits["copy"]:.1f} GB/s'


def table(rows: Sequence[Row]) -> str:
    """The rows of a group."""
    cells = [
        (
            row['name'],
            f'{row["median_ms"]:.4g}',
            f'{row["low_ms"]:.4g} to {row["high_ms"]:.4g}',
            f'{row["ratio"]:.2f}',
            f'{row["ratio_low"]:.2f} to {row["ratio_high"]:.2f}',
            f'{row["per_second"]:.4g}',
            *(f'{row[key]:.3g}' if key in row else '' for key in ('gflops', 'gbytes')),
            *(f'{row[key]:.0f}' if key in row else '' for key in ('operations', 'peak_mib')),
        )
        for row in rows
    ]
    align = ('left', *['right'] * (len(HEADINGS) - 1))
    return tabulate(cells, HEADINGS, tablefmt='github', disable_numparse=True, colalign=align)
