"""Settings that are allowed but seldom meant: batch, learning rate and queue against the size of the data set."""

from collections.abc import Mapping
from typing import Any

from torch import nn

from skeattn.models.queue import queues_of

RECIPE = 0.1 / 128
"""Learning rate per clip of a batch in the recipe of all methods on NTU: SGD, lr 0.1, 128 clips."""
FAR = 8
"""Ratio to the recipe's from which a learning rate is named."""
LOST = 0.2
"""Share of the clips in the incomplete batch of an epoch from which it is named."""


def advice(model: nn.Module, clips: int, batch_size: int, steps: int, optimizer: Mapping[str, Any]) -> list[str]:
    """Sentences about settings that are probably a mistake, with what to change; nothing is refused.

    Args:
        model: a method; its queues are read.
        clips: N, training clips.
        batch_size: B, clips of all processes together.
        steps: of the whole training.
        optimizer: ``type`` and ``lr`` of the config.
    """
    sentences = [*_of_batches(clips, batch_size), *_of_rate(batch_size, optimizer)]
    for size, apart in sorted({(queue.keys.shape[1], queue.ids is not None) for queue in queues_of(model)}):
        sentences += _of_queue(size, apart, clips, batch_size, steps)
    return sentences


def _of_batches(clips: int, batch_size: int) -> list[str]:
    left = clips % batch_size
    if left < LOST * clips:
        return []
    return [
        f'batch_size={batch_size} leaves {left} of {clips} training clips out of every epoch (the incomplete batch); '
        f'a smaller batch uses more of them'
    ]


def _of_rate(batch_size: int, optimizer: Mapping[str, Any]) -> list[str]:
    rate = optimizer.get('lr')
    if optimizer.get('type') != 'SGD' or not isinstance(rate, int | float) or rate <= 0:
        return []
    ratio = rate / batch_size / RECIPE
    if 1 / FAR < ratio < FAR:
        return []
    change = f'{ratio:.0f} times' if ratio > 1 else f'1/{1 / ratio:.0f} of'
    return [
        f'SGD with lr={rate:g} and batch_size={batch_size}: per clip {change} the rate of the published recipe '
        f'(0.1 at 128); rates usually grow with the batch: lr={RECIPE * batch_size:.2g}'
    ]


def _of_queue(size: int, apart: bool, clips: int, batch_size: int, steps: int) -> list[str]:
    """Of a queue; ``apart``: it knows the clips of its keys, so that those of the clip itself do not count (STARS)."""
    written, sentences = steps * batch_size, []
    if size > clips and not apart:
        sentences.append(
            f'model.queue.size={size} is larger than the {clips} training clips: the queue holds keys of the clip '
            f'itself, {size / clips:.1f} times on average, and they count as negatives; take a size below {clips}'
        )
    if written < size:
        sentences.append(
            f'model.queue.size={size}, but the whole training writes only {written} keys; the rest stay the random '
            f'vectors of the start; take a smaller queue or train longer'
        )
    return sentences
