"""Time and memory of KNN at the size of NTU RGB+D 60: python tools/analysis_tools/benchmark_knn.py

Features are random clusters. The toolbox's KNN is measured on all queries, and on a part of them together with two
alternatives: all similarities at once, and one query after the other. Each runs in a fresh process. The ratios within
one run are reliable; single times depend on the machine and its load.
"""

import argparse

from skeattn import cli


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('--bank', type=int, default=40_091, help='training clips (40,091, NTU RGB+D 60 xsub)')
    top.add_argument('--queries', type=int, default=16_487, help='test clips (16,487)')
    top.add_argument('--part', type=int, default=2048, help='queries for the comparison of alternatives (2048)')
    top.add_argument('--dim', type=int, default=256, help='of the features (256)')
    top.add_argument('--k', type=int, default=20, help='neighbours (20)')
    top.add_argument('--threads', type=int, default=1)
    top.add_argument('--out', metavar='FILE', help='also write a JSON record')
    return top


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

import time
from collections.abc import Callable

import torch
from tabulate import tabulate
from torch import Tensor

from skeattn import cli
from skeattn.benchmark.evaluating import CLASSES, at_once, clusters, one_by_one
from skeattn.errors import ConfigError, DataError
from skeattn.evaluation.knn import knn_scores
from skeattn.files import write_json
from skeattn.measure import measure
from skeattn.results.provenance import environment

Scorer = Callable[[Tensor, Tensor, Tensor, int], Tensor]


def chunked(queries: Tensor, bank: Tensor, labels: Tensor, k: int) -> Tensor:
    """KNN of the toolbox."""
    return knn_scores(queries, bank, labels, k, num_classes=CLASSES)


def features_alone(queries: Tensor, bank: Tensor, labels: Tensor, k: int) -> Tensor:
    """No KNN: the memory of the features and the libraries."""
    return queries.new_zeros(len(queries), CLASSES)


def guesses(scorer: Scorer, bank_clips: int, queries: int, dim: int, k: int, threads: int) -> tuple[float, list[int]]:
    """(seconds of the scoring alone, predicted classes)."""
    torch.set_num_threads(threads)
    (bank, labels), (test, _) = clusters(bank_clips, dim, 0), clusters(queries, dim, 1)
    start = time.perf_counter()
    scores = scorer(test, bank, labels, k)
    return time.perf_counter() - start, scores.argmax(1).tolist()


def main() -> None:
    args = parser().parse_args()
    for option in ('bank', 'queries', 'part', 'dim', 'k', 'threads'):
        if getattr(args, option) < 1:
            raise ConfigError(f'--{option} {getattr(args, option)} is too small; give at least 1')

    part = min(args.part, args.queries)
    work = [
        ('features alone', features_alone, args.queries),
        ('toolbox', chunked, args.queries),
        ('toolbox', chunked, part),
        ('all at once', at_once, part),
        ('one by one', one_by_one, part),
    ]
    runs, answers = [], []
    for name, scorer, queries in work:
        run = measure(guesses, scorer, args.bank, queries, args.dim, args.k, args.threads)
        seconds, guessed = run['result']
        runs.append({'name': name, 'queries': queries, 'seconds': seconds, 'peak_bytes': run['peak_bytes']})
        answers.append(guessed)
    reference = answers[2]
    for run, guessed in zip(runs[3:], answers[3:], strict=True):
        same = sum(a == b for a, b in zip(guessed, reference, strict=True)) / part
        if same < 0.999:  # rounding can swap equally near neighbours
            raise DataError(f'{run["name"]} agrees with the toolbox on only {same:.1%}; report this defect')
    base, ours = runs[0]['peak_bytes'], runs[2]
    rows = [
        (
            run['name'],
            f'{run["queries"]:,}',
            f'{run["seconds"]:.2f}',
            f'{1e3 * run["seconds"] / run["queries"]:.3f}',
            f'{run["peak_bytes"] / 1e6:.0f}',
            f'{max(0, run["peak_bytes"] - base) / 1e6:.0f}',
            f'{run["seconds"] / ours["seconds"]:.2f}' if run in runs[2:] else '',
        )
        for run in runs
    ]
    facts = environment()
    print(f'bank {args.bank:,} x {args.dim}, K = {args.k}, {args.threads} threads, {facts["hardware"]}, '
          f'torch {torch.__version__}')  # fmt: skip
    headings = ('', 'queries', 'seconds', 'ms a query', 'peak MB', 'of it KNN', f'times the toolbox, {part:,}')
    print(tabulate(rows, headings, disable_numparse=True, colalign=('left', *['right'] * 6)))
    if args.out:
        write_json(args.out, {'bank': args.bank, 'dim': args.dim, 'k': args.k, 'runs': runs, **facts})
        print(f'wrote {args.out}')


if __name__ == '__main__':
    cli.run(main)
