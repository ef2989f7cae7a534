"""Fuse streams by their class scores.

RESULT is a record of ``skeattn test`` (test_*.json), one for each stream, or one of its score files (.npz). Clips are
matched by name. Prints a table of each stream and of the fusion, and writes a record beside the first RESULT.
"""

import argparse

from skeattn import cli
from skeattn.choices import EQUAL, WEIGHT_SETS
from skeattn.errors import ConfigError


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = cli.command_parser(
        __doc__,
        'skeattn ensemble JOINT.json BONE.json MOTION.json',
        'skeattn ensemble JOINT.json BONE.json MOTION.json --weights 0.6 0.6 0.4',
    )
    top.add_argument('results', metavar='RESULT', nargs='+', help='a record or a score file of skeattn test')
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


def main(args: argparse.Namespace) -> None:
    """Fuse, print the table and write the record."""
    from pathlib import Path

    from skeattn.results.ensemble import fuse_files
    from skeattn.results.ensemble_table import report

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
