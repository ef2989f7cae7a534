"""The content of a report: everything that its page shows, as plain values."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from skeattn.evaluation.embedding_map import check_method
from skeattn.report.embedding import MapOptions, maps
from skeattn.report.overview import Part, classes, config_differences, curves, numbers, summary
from skeattn.report.page import write_page
from skeattn.report.runs import Run, find_runs


def write_report(
    work_dirs: Sequence[str | os.PathLike[str]], path: str | os.PathLike[str], options: MapOptions | None = None
) -> list[Run]:
    """Write a self-contained HTML page on runs.

    Args:
        work_dirs: see :func:`~skeattn.report.runs.find_runs`.
        path: file to write.
        options: of the maps.

    Returns:
        the runs; ``missing`` tells which of their parts the page lacks.

    Raises:
        ConfigError: no such folder, or an unknown method of the map.
        DataError: a folder holds nothing to report.
    """
    options = options or MapOptions()
    check_method(options.method)
    runs = find_runs(work_dirs)
    content, motions = gather(runs, options)
    write_page(Path(path), content, motions)
    return runs


def gather(runs: Sequence[Run], options: MapOptions) -> tuple[dict[str, Any], list[Part]]:
    """(what the page shows, the motion of the clips of each scene)."""
    of_runs, scenes, motions = maps(runs, options)
    title = ' · '.join(run.name for run in runs)
    content = {
        'title': f'{title}: report',
        'summary': summary(runs),
        'configs': config_differences(runs),
        'numbers': numbers(runs),
        'curves': curves(runs),
        'classes': classes(runs),
        'map': {'method': options.method, 'runs': of_runs, 'scenes': scenes},
    }
    described = [{'name': run.name, 'missing': run.missing, 'notes': run.notes} for run in runs]
    return {**content, 'runs': described}, motions
