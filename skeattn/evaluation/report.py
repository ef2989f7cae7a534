"""Metrics as a table."""

import re
from collections.abc import Mapping, Sequence

from tabulate import tabulate

# metric -> column heading, in the order of the columns; headings say which epoch or K a number belongs to.
_HEADINGS = (
    (r'knn/top1_k(\d+)', r'KNN\nK={0}'),
    (r'knn/top1_heldout', 'KNN\nheld-out K'),
    (r'linear/top1', 'linear\nlast epoch'),
    (r'linear/top1_best', 'linear\nbest on test'),
    (r'linear/top1_heldout', 'linear\nheld-out epoch'),
    (r'linear/top5', 'linear\ntop-5, last'),
    (r'topk/top([15])', r'classifier\ntop-{0}'),
)

NOTE = (
    'Accuracy on the test clips in %. "last epoch" chooses nothing; "best on test" is the best epoch on the test '
    'clips, as the papers print;\n"held-out": chosen on training subjects held out for it, without test labels.'
)


def metrics_table(rows: Mapping[str, Mapping[str, float]], columns: Sequence[str] | None = None) -> str:
    """One row per encoder, one column per metric, percent with one decimal.

    Args:
        rows: name -> metrics as ``evaluator/metric``; a metric that a row lacks is left blank.
        columns: metrics to show; by default KNN for every K and the linear probe's named numbers.
    """
    columns = columns or sorted({key for row in rows.values() for key in row if _place(key)}, key=_place)
    headings = ['', *(heading(column) for column in columns)]
    lines = [[name, *(_cell(row.get(column)) for column in columns)] for name, row in rows.items()]
    align = ('left', *['right'] * len(columns))
    return tabulate(lines, headings, tablefmt='simple', disable_numparse=True, colalign=align)


def heading(metric: str) -> str:
    """Two-line column heading of a metric; the metric's own name where it has none."""
    for pattern, text in _HEADINGS:
        match = re.fullmatch(pattern, metric)
        if match:
            return text.format(*match.groups()).replace(r'\n', '\n')
    return metric


def _place(metric: str) -> tuple[int, int]:
    """(column group, K); () sorts nowhere and marks a metric that the table does not show."""
    for place, (pattern, _) in enumerate(_HEADINGS):
        match = re.fullmatch(pattern, metric)
        if match:
            return place, int(match.group(1)) if match.groups() else 0
    return ()  # type: ignore[return-value]


def _cell(value: float | None) -> str:
    return '' if value is None else f'{value:.1f}'
