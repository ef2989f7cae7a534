"""What an evaluation prints: the rows of its tables, the reasons of empty cells, and its files."""

from pathlib import Path

from skeattn.engine.retarget import transfer_text
from skeattn.models.readout import split_source
from skeattn.protocols.evaluate import RAW, UNTRAINED, Evaluation
from skeattn.protocols.plan import trains
from skeattn.results.record import Record
from skeattn.results.report import NOTE, RAW_ROW, WITHOUT, blanks, by_readout, of_readout, protocol_tables


def report(config: str, evaluation: Evaluation, record: Record, out: Path) -> str:
    """The printed text.

    Args:
        config: as it was named.
        evaluation: the finished one.
        record: its result.
        out: the file of the record.
    """
    sources = ', '.join(record.sources)
    lines = [f'{config}, {record.streams} stream, {record.data} {record.split}, {sources} features']
    if record.pretrained:
        lines.append(transfer_text(record.pretrained, evaluation.cfg))
    tables = by_readout(rows_of(record))
    lines.append('\n\n'.join(table for readout, rows in tables.items() for table in protocol_tables(rows, readout)))
    if copies := record.clips['copies']:
        lines.append(
            f'\n{copies} of {record.clips["test"]} test clips equal a training clip; rows "without copies" omit them'
        )
    trainings = [name for name, settings in evaluation.used.items() if trains(settings)]
    files = [out.parent / name for name in [*trainings, *files_of(record), out.name]]
    return '\n'.join([*lines, '', NOTE, *blanks(notes_of(record)), *(f'wrote {file}' for file in files)])


def rows_of(record: Record) -> dict[str, dict[str, float]]:
    """Row name, with its readout, -> metrics."""
    stem = Path(str(record.checkpoint)).stem if record.checkpoint else f'{UNTRAINED}, seed {record.seed}'
    several = len({split_source(source)[0] for source in record.sources}) > 1
    rows = dict(record.baselines)
    for source, part in record.sources.items():
        features = split_source(source)[0]
        name = RAW_ROW if features == RAW else f'{stem}, {features}' if several else stem
        name = of_readout(name, part.readout)
        rows[name] = part.metrics
        if part.metrics_without_copies:
            rows[name + WITHOUT] = part.metrics_without_copies
    return rows


def notes_of(record: Record) -> dict[str, str]:
    """Metric -> reason why it is missing."""
    return {
        f'{name}/{metric}': reason
        for part in record.sources.values()
        for name, result in part.protocols.items()
        for metric, reason in result.notes.items()
    }


def files_of(record: Record) -> list[str]:
    """Names of the files beside the record."""
    results = [result for part in record.sources.values() for result in part.protocols.values()]
    return [file for result in results for file in (result.scores, *result.files.values()) if file]
