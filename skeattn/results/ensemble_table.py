"""What a fusion of streams prints."""

from tabulate import tabulate

from skeattn.results.ensemble import FUSED, SELECTIONS, Ensemble
from skeattn.results.record import Record
from skeattn.results.report import corner


def table(record: Record) -> str:
    """A row for each stream and one for the fusion, accuracy in percent."""
    assert record.ensemble is not None
    fused = record.sources[FUSED].metrics
    rows: list[tuple[str, float | None, dict[str, float], float | None]] = [
        (name, part.weight, part.metrics, part.heldout_top1)
        for name, part in zip(record.ensemble.weights, record.ensemble.parts, strict=True)
    ]
    rows.append((FUSED, None, fused, record.ensemble.heldout_top1))
    lines = [
        [name, number(weight, '.2g'), *(number(metrics[key]) for key in fused), number(heldout)]
        for name, weight, metrics, heldout in rows
    ]
    headings = [corner(record.sources[FUSED].readout), 'weight', *fused, 'top1 on\nheld-out clips']
    align = ('left', *['right'] * (len(headings) - 1))
    return tabulate(lines, headings, tablefmt='simple', disable_numparse=True, colalign=align)


def number(value: float | None, form: str = '.1f') -> str:
    """Text of a number that may be unknown."""
    return '' if value is None else format(value, form)


def report(ensemble: Ensemble, record: Record) -> str:
    """The printed text."""
    facts = f'{record.name}: {record.data} {record.split}, weighted sum of {ensemble.added}'
    weights = ' '.join(f'{weight:g}' for weight in ensemble.weights)
    return f'{facts}\n{table(record)}\n{SELECTIONS[ensemble.selection]}: {weights}'
