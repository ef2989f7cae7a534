"""The rows of the baselines in every table of frozen features: raw coordinates, and the encoder before training."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from skeattn.experiments.options import FROZEN
from skeattn.experiments.paper import STREAMS, Line, PaperTable
from skeattn.models.readout import MEAN, with_readout
from skeattn.results.report import RAW_ROW, WHOLE_ROW

RAW, UNTRAINED = RAW_ROW, 'untrained encoder'
RAW_SOURCE = 'raw'
_METHOD = 'skeattnclr'
"""Folder of configs with the clips and the encoder of the baselines."""


def raw_sources(readouts: Iterable[str]) -> tuple[str, ...]:
    """Sources of the whole clip, and of the clip read with each readout."""
    read = [with_readout(RAW_SOURCE, readout) for readout in dict.fromkeys(readouts) if readout != MEAN]
    # An explicit mean keeps a readout of the config from the whole clip.
    return (f'{RAW_SOURCE}@{MEAN}', *read) if read else (RAW_SOURCE,)


def baseline_lines(table: PaperTable, readout: str = MEAN) -> tuple[Line, ...]:
    """Lines of the baselines below those of a table; none if its protocol trains the encoder further.

    Raw coordinates are the joint stream: the whole clip, and for another readout than the mean also the clip read with
    it. The untrained encoder has a line for each selection of streams in the table.

    Args:
        table: of the paper.
        readout: of the table's features.
    """
    if not has_baselines(table):
        return ()
    raw = partial(Line, name=RAW, method=_METHOD, trained=False, source=RAW_SOURCE)
    untrained = partial(Line, name=UNTRAINED, method=_METHOD, trained=False)
    whole = raw(_labels(table, RAW if readout == MEAN else WHOLE_ROW), readout=MEAN)
    read = [] if readout == MEAN else [raw(_labels(table, RAW))]
    selections = dict.fromkeys(line.streams for line in table.lines if line.method)
    return (whole, *read, *(untrained(_labels(table, UNTRAINED, some), streams=some) for some in selections))


def has_baselines(table: PaperTable) -> bool:
    """Whether all of a table is computed from frozen features."""
    return all((line.protocol or table.protocol) in FROZEN for line in table.lines)


def readout_of(overrides: Mapping[str, Any], protocol: str) -> str:
    """The readout of a table's features: that of the overrides, otherwise the mean, as in the paper."""
    if protocol not in FROZEN:
        return MEAN
    return str(overrides.get(f'protocols.{protocol}.readout') or overrides.get('evaluation.readout') or MEAN)


def _labels(table: PaperTable, name: str, streams: tuple[str, ...] = STREAMS['J']) -> tuple[str, ...]:
    """The name in the first column of labels, the streams in theirs if there is one."""
    symbol = next(symbol for symbol, of in STREAMS.items() if of == streams)
    return (name, *(symbol if heading == 'stream' else '' for heading in table.headings[1:]))
