"""Metrics as tables, and the epoch or K of a number."""

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence

from tabulate import tabulate

from skeattn.choices import MEAN

# Headings of metrics, in the order of the columns: pattern of the protocol's name, pattern of the metric, heading. The
# first match counts; {0} is the group of the metric's pattern.
_HEADINGS = (
    (r'.*', r'top1_k(\d+)', 'K={0}'),
    (r'knn.*', r'top1_heldout', 'held-out K'),
    (r'topk', r'top1', 'top-1'),
    (r'topk', r'top5', 'top-5'),
    (r'probe.*', r'top1', 'top-1'),
    (r'probe.*', r'top5', 'top-5'),
    (r'probe.*', r'heldout_top1', 'held-out'),
    (r'.*', r'top1', 'last epoch'),
    (r'.*', r'top1_best', 'best on test'),
    (r'.*', r'top1_heldout', 'held-out epoch'),
    (r'.*', r'top5', 'top-5, last'),
    (r'.*', r'top1_mean', 'mean, probe seeds'),
    (r'.*', r'top1_std', '± probe seeds'),
    (r'.*', r'mAP', 'mAP'),
    (r'.*', r'r(\d+)', 'recall@{0}'),
    (r'.*', r'trustworthiness', 'trustworthiness'),
    (r'tsne.*', r'knn', 'same class nearby'),
)
_TITLES = {'knn': 'KNN', 'topk': 'classifier'}
_ORDER = ('knn', 'linear', 'probe', 'finetune', 'semi', 'topk')
_CHOICES = ('top1', 'top1_best', 'top1_heldout')
_SELECTION = (
    (r'top1_k(\d+)', '{0} neighbours'),
    (r'heldout_top1_k(\d+)', '{0} neighbours, held-out training subjects against the others'),
    (r'top1|top5', 'last epoch'),
    (r'top1_best', 'best epoch on the test clips'),
    (r'top1_heldout', 'best on held-out training subjects'),
    (r'top1_mean', 'last epoch, mean over probe seeds'),
    (r'top1_std', 'last epoch, standard deviation over probe seeds'),
)

NOTE = (
    'Accuracy on the test clips in %. "last epoch" chooses nothing; "best on test" is the best epoch on the test '
    'clips, as the papers print;\n"held-out": chosen on training subjects held out for it, without test labels.'
)


WITHOUT = ', without copies'
"""End of the name of a row of the test clips that equal no training clip."""
RAW_ROW = 'raw coordinates'
WHOLE_ROW = f'{RAW_ROW}, whole clip'
"""Raw coordinates of which nothing is averaged, in a table of another readout than the mean."""
_OF_READOUT = re.compile(r', readout ([^,]+)')


def of_readout(row: str, readout: str) -> str:
    """The name of a row of a readout; the mean is not written."""
    return row if readout == MEAN else f'{row}, readout {readout}'


def by_readout(rows: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, Mapping[str, float]]]:
    """Readout -> its rows, as they are named without it; a table never mixes readouts.

    Raw coordinates of which nothing is averaged stand in every table, with the table's protocols.

    Args:
        rows: name, see :func:`of_readout`, -> metrics as ``protocol/metric``.
    """
    whole, tables = dict[str, Mapping[str, float]](), dict[str, dict[str, Mapping[str, float]]]()
    for row, metrics in rows.items():
        match = _OF_READOUT.search(row)
        if row.startswith(RAW_ROW) and not match:
            whole[row] = metrics
        else:
            tables.setdefault(match.group(1) if match else MEAN, {})[_OF_READOUT.sub('', row)] = metrics
    if not tables:
        return {MEAN: whole}
    return {readout: {**_beside(table, whole, readout), **table} for readout, table in tables.items()}


def _beside(
    table: Mapping[str, Mapping[str, float]], whole: Mapping[str, Mapping[str, float]], readout: str
) -> dict[str, Mapping[str, float]]:
    """The rows ``whole`` for a table, with its protocols."""
    protocols = {key.partition('/')[0] for metrics in table.values() for key in metrics}
    named = {row if readout == MEAN else row.replace(RAW_ROW, WHOLE_ROW, 1): metrics for row, metrics in whole.items()}
    return {
        row: {key: value for key, value in metrics.items() if key.partition('/')[0] in protocols}
        for row, metrics in named.items()
    }


def metrics_table(
    rows: Mapping[str, Mapping[str, float]], columns: Sequence[str] | None = None, readout: str = MEAN
) -> str:
    """One row per encoder, one column per metric, percent with one decimal.

    Args:
        rows: name -> metrics as ``protocol/metric``; a missing metric is left blank.
        columns: metrics to show; by default all with a heading, KNN and the linear probe first.
        readout: of all rows, in the header of the first column; a table of the mean has none.
    """
    columns = columns or ordered(key for row in rows.values() for key in row)
    headings = [corner(readout), *(heading(column) for column in columns)]
    lines = [[name, *(_cell(row.get(column)) for column in columns)] for name, row in rows.items()]
    align = ('left', *['right'] * len(columns))
    return tabulate(lines, headings, tablefmt='simple', disable_numparse=True, colalign=align)


def corner(readout: str) -> str:
    """Header of the first column of a table of a readout."""
    return '' if readout == MEAN else f'readout\n{readout}'


def protocol_tables(rows: Mapping[str, Mapping[str, float]], readout: str = MEAN) -> list[str]:
    """A table for each protocol, with the rows that it evaluated, all of one readout.

    A protocol with epochs has a column for each way to choose the epoch, even if that number is missing.
    """
    protocols = dict.fromkeys(key.partition('/')[0] for row in rows.values() for key in row)
    tables = []
    for protocol in protocols:
        parts = {
            name: {key: value for key, value in row.items() if key.startswith(f'{protocol}/')}
            for name, row in rows.items()
        }
        parts = {name: row for name, row in parts.items() if row}
        columns = {key for row in parts.values() for key in row}
        if f'{protocol}/top1_best' in columns or (f'{protocol}/top1' in columns and protocol.startswith('topk')):
            columns |= {f'{protocol}/{choice}' for choice in _CHOICES}
        tables.append(metrics_table(parts, ordered(columns), readout))
    return tables


def blanks(notes: Mapping[str, str]) -> list[str]:
    """Reasons for blank columns of :func:`protocol_tables`, a line for each.

    Args:
        notes: metric as ``protocol/metric`` -> reason why it is missing.
    """
    return [f'no {heading(metric)}: {reason}'.replace('\n', ' ') for metric, reason in notes.items()]


def mean_std(values: Sequence[float], digits: int = 1) -> str:
    """Mean ± sample standard deviation; only the mean of a single value, an empty text without values.

    Args:
        values: for example one per seed.
        digits: after the point.
    """
    if not values:
        return ''
    mean = f'{statistics.mean(values):.{digits}f}'
    return f'{mean} ± {statistics.stdev(values):.{digits}f}' if len(values) > 1 else mean


def heading(metric: str) -> str:
    """Two-line column heading of a metric as ``protocol/metric``; the metric itself if it has no heading."""
    protocol, _, name = metric.partition('/')
    for of, pattern, text in _HEADINGS:
        match = re.fullmatch(pattern, name)
        if match and re.fullmatch(of, protocol):
            return f'{_TITLES.get(protocol, protocol)}\n{text.format(*match.groups())}'
    return metric


def selection(metric: str) -> str | None:
    """The epoch or K of a metric (without its protocol); None if there is no choice."""
    for pattern, text in _SELECTION:
        match = re.fullmatch(pattern, metric)
        if match:
            return text.format(*match.groups())
    return None


def _place(metric: str) -> tuple[int, str, int, int] | None:
    """Sort key of a metric: (family, protocol, column, K); None for a metric without heading."""
    protocol, _, name = metric.partition('/')
    family = next((i for i, prefix in enumerate(_ORDER) if protocol.startswith(prefix)), len(_ORDER))
    for column, (of, pattern, _) in enumerate(_HEADINGS):
        match = re.fullmatch(pattern, name)
        if match and re.fullmatch(of, protocol):
            return family, protocol, column, int(match.group(1)) if match.groups() else 0
    return None


def ordered(metrics: Iterable[str]) -> list[str]:
    """The metrics ``protocol/metric`` that have a heading, in the order of the columns of a table."""
    places = {metric: place for metric in metrics if (place := _place(metric)) is not None}
    return sorted(places, key=places.__getitem__)


def _cell(value: float | None) -> str:
    return '' if value is None else f'{value:.1f}'
