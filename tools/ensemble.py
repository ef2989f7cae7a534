"""Fuse streams by their class scores: python tools/ensemble.py RESULT RESULT ... [--weights 0.6 0.6 0.4]

RESULT is a record of tools/test.py (test_*.json), one for each stream, or one of its score files (.npz). Clips are
matched by name. Prints a table of each stream and of the fusion, and writes a record beside the first RESULT.
"""

import argparse

from skeattn import cli
from skeattn.choices import EQUAL, WEIGHT_SETS


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('results', metavar='RESULT', nargs='+', help='a record or a score file of tools/test.py')
    top.add_argument('--protocol', default='linear', help='whose scores are added (linear)')
    top.add_argument(
        '--source', nargs='+', metavar='SOURCE', help='features whose scores are read, if a record has several'
    )
    choice = top.add_mutually_exclusive_group()
    choice.add_argument(
        '--weights',
        nargs='+',
        metavar='WEIGHT',
        help=f'one for each RESULT in their order, or the name of a set: {", ".join([EQUAL, *WEIGHT_SETS])}',
    )
    choice.add_argument(
        '--select',
        choices=['heldout', 'test'],
        default='heldout',
        help='choose weights on held-out training clips (default), or on the test clips with their labels, as some '
        'releases do',
    )
    top.add_argument(
        '--scores', choices=['logits', 'softmax'], default='logits', help='kind of the added scores (logits)'
    )
    top.add_argument('--same-stream', action='store_true', help='fuse results of one stream, such as several seeds')
    top.add_argument('--out', metavar='FILE', help='the JSON record (fusion_<protocol>_<digest>.json)')
    return top


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

from pathlib import Path

from tabulate import tabulate

from skeattn.errors import ConfigError
from skeattn.results.ensemble import FUSED, SELECTIONS, Ensemble, fuse_files
from skeattn.results.record import Record
from skeattn.results.report import corner


def parse_weights(arguments: list[str] | None) -> list[float] | str | None:
    """Numbers, the name of a set, or None.

    Raises:
        ConfigError: numbers and names are mixed.
    """
    if arguments is None:
        return None
    try:
        return [float(argument) for argument in arguments]
    except ValueError as error:
        if len(arguments) == 1:
            return arguments[0]
        raise ConfigError(
            f'--weights {" ".join(arguments)} mixes numbers and names; give numbers, or the name of one set'
        ) from error


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


def main() -> None:
    args = parser().parse_args()
    weights = parse_weights(args.weights)
    ensemble = fuse_files(args.results, args.protocol, weights, args.select, args.scores, args.source, args.same_stream)
    if len(set(streams := [part.stream for part in ensemble.parts])) < len(streams):
        print(f'warning: several results are of the same stream: {", ".join(streams)}')
    if len({*ensemble.scores_of.values()}) > 1:
        texts = '; '.join(map(': '.join, ensemble.scores_of.items()))
        print(f'warning: the scores are of different epochs or K: {texts}')
    out = Path(args.out or ensemble.default_path)
    print(report(ensemble, ensemble.write(out)))
    print(f'wrote {out}')


if __name__ == '__main__':
    cli.run(main)
