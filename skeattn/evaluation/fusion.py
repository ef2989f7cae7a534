"""Late fusion: the weighted sum of several classifiers' scores, joined clip by clip by name."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations, pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from skeattn import choices
from skeattn.errors import ConfigError, DataError, shorten
from skeattn.evaluation.metrics import accuracy
from skeattn.evaluation.result import Scores

AGAIN = 'evaluate all streams on the same packed set'
EQUAL, WEIGHT_SETS = choices.EQUAL, choices.WEIGHT_SETS
STEPS = 10
"""Weights are tried in steps of one tenth."""
GRID_STREAMS = 4
"""Up to this number of streams all weights are tried; with more streams, one weight at a time."""


def fuse(
    parts: Sequence[Scores], weights: Sequence[float], scores: str = 'logits', files: Sequence[str] | None = None
) -> Scores:
    """The weighted sum of several classifiers' scores of the same clips.

    Args:
        parts: scores of each stream, clips in any order.
        weights: one for each part, not negative; the sum is not normalised, as released.
        scores: ``'logits'`` adds raw outputs, as released; ``'softmax'`` adds probabilities.
        files: names of the parts in messages.

    Returns:
        float64 scores, clips in the order of the first part.

    Raises:
        DataError: the parts differ in their clips, labels or number of classes, or hold a clip twice.
        ConfigError: weights that are negative, all zero or not as many as parts; unknown ``scores``.
    """
    first = parts[0]
    return Scores(_sum(_join(parts, scores, files), _checked(weights, len(parts))), first.labels, list(first.names))


def choose_weights(
    parts: Sequence[Scores],
    scores: str = 'logits',
    candidates: Sequence[Sequence[float]] | None = None,
    files: Sequence[str] | None = None,
) -> list[float]:
    """The weights with the best top-1 accuracy on these clips, which should be held-out clips.

    Candidates are equal weights and all multiples of one tenth that add up to one. With more than four streams, one
    weight is changed at a time, starting from equal weights or the best single stream, until nothing improves. Each
    stream alone is a candidate, so the fusion is never worse on these clips than its best stream. Ties go to the
    weights nearest to equal ones, then to those that favour earlier streams; nothing is drawn at random.

    Args:
        parts, scores, files: see :func:`fuse`.
        candidates: try only these.
    """
    stack, labels, n = _join(parts, scores, files), parts[0].labels, len(parts)

    def merit(weights: Sequence[float]) -> tuple[float, float]:
        total = sum(weights)
        distance = sum((weight / total - 1 / n) ** 2 for weight in weights)
        return accuracy(_sum(stack, weights), labels), -round(distance, 9)

    if candidates is not None:
        return max((_checked(weights, n) for weights in candidates), key=merit)
    equal = [1 / n] * n
    if n <= GRID_STREAMS:
        return max([equal, *_simplex(n)], key=merit)
    best = max([equal, *([float(i == j) for j in range(n)] for i in range(n))], key=merit)
    improves = True
    while improves:
        before = best
        for i in range(n):
            best = max([best, *_changed(best, i)], key=merit)
        improves = merit(best) > merit(before)
    return best


def named_weights(name: str, streams: Sequence[str]) -> list[float]:
    """A named set of weights for these streams.

    Raises:
        ConfigError: no such set, it lacks a weight for one of the streams, or one of its streams is missing.
    """
    if name == EQUAL:
        return [1.0] * len(streams)
    if name not in WEIGHT_SETS:
        raise ConfigError(f'no weights {name!r}; give numbers, or one of {", ".join([EQUAL, *WEIGHT_SETS])}')
    weights = WEIGHT_SETS[name]
    if unknown := [stream for stream in streams if stream not in weights]:
        raise ConfigError(
            f'weights={name!r} are for {", ".join(weights)}, not for {", ".join(unknown)}; give numbers, or {EQUAL!r}'
        )
    if missing := [stream for stream in weights if stream not in streams]:
        raise ConfigError(
            f'weights={name!r} are for {", ".join(weights)}, and {", ".join(missing)} is missing; add its result, or '
            f'give numbers, or {EQUAL!r}'
        )
    return [weights[stream] for stream in streams]


def _join(parts: Sequence[Scores], kind: str, files: Sequence[str] | None) -> Tensor:
    """The parts' scores as (n, N, classes) float64, clips in the first part's order."""
    if kind not in ('logits', 'softmax'):
        raise ConfigError(f'unknown scores={kind!r}; choose "logits" or "softmax"')
    files = files or [f'part {i + 1}' for i in range(len(parts))]
    first, joined = parts[0], []
    for part, file in zip(parts, files, strict=True):
        index, pair = {name: i for i, name in enumerate(part.names)}, f'{files[0]} and {file}'
        if len(index) < len(part.names):
            repeated = [name for name, count in Counter(part.names).items() if count > 1]
            raise DataError(f'{file} holds {len(repeated)} clips twice: {shorten(repeated)}; {AGAIN}')
        if unshared := sorted(index.keys() ^ set(first.names)):
            raise DataError(
                f'{pair} hold different clips, {len(unshared)} are in only one file: {shorten(unshared)}; {AGAIN}'
            )
        if part.scores.shape[1] != first.scores.shape[1]:
            raise DataError(f'{pair} have {first.scores.shape[1]} and {part.scores.shape[1]} classes; {AGAIN}')
        order = torch.tensor([index[name] for name in first.names])
        if wrong := (part.labels[order] != first.labels).nonzero()[:, 0].tolist():
            clips = shorten([first.names[i] for i in wrong])
            raise DataError(f'{pair} have different labels for {len(wrong)} clips: {clips}; {AGAIN}')
        scores = part.scores[order].double()
        joined.append(F.softmax(scores, dim=1) if kind == 'softmax' else scores)
    return torch.stack(joined)


def _sum(stack: Tensor, weights: Sequence[float]) -> Tensor:
    return torch.einsum('n,nkc->kc', torch.tensor(weights, dtype=stack.dtype), stack)


def _checked(weights: Sequence[float], n: int) -> list[float]:
    values = [float(weight) for weight in weights]
    if len(values) != n:
        raise ConfigError(f'{len(values)} weights for {n} streams; give one weight per stream, in their order')
    if not all(0 <= weight < float('inf') for weight in values) or not any(values):
        raise ConfigError(f'weights={values} are invalid; give finite numbers >= 0, at least one of them > 0')
    return values


def _simplex(n: int) -> Iterator[list[float]]:
    """All n-tuples of multiples of one tenth that add up to one; those that favour earlier entries come first."""
    for bars in reversed(list(combinations(range(STEPS + n - 1), n - 1))):
        ends = (-1, *bars, STEPS + n - 1)
        yield [(after - before - 1) / STEPS for before, after in pairwise(ends)]


def _changed(weights: Sequence[float], i: int) -> Iterator[list[float]]:
    """These weights with every share for stream i, in tenths."""
    rest = sum(weights) - weights[i]
    for step in range(STEPS) if rest else ():
        share = step / STEPS
        yield [share if j == i else weight * (1 - share) / rest for j, weight in enumerate(weights)]
