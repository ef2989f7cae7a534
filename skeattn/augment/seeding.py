"""Random generators: every draw is a function of (seed, iteration, view, operation)."""

import hashlib
import math

import torch
from torch import Tensor

# SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): the increment, and for each round a shift and a factor.
_INCREMENT, _ROUNDS = 0x9E3779B97F4A7C15, ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def generator(seed: int, iteration: int, *names: str) -> torch.Generator:
    """A CPU generator that depends on its arguments alone.

    Parameters are drawn on the CPU for the whole global batch and sliced per process, so one process, eight processes
    and a GPU all get the same augmentations, and a resumed run needs no stored generator state. Of ``GaussianNoise``
    they get the same seeds; a GPU computes other values from them, see :func:`normal`.

    Args:
        seed: the run's seed.
        iteration: 0-based training iteration.
        names: names of the draw, for example of its view and operation.
    """
    text = '/'.join((str(seed), str(iteration), *names))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, 'big') >> 1)


def normal(seeds: Tensor, count: int) -> Tensor:
    """Standard normal values ``(N, count)`` in single precision, where the seeds ``(N,)`` are, int64.

    A row depends on its seed alone: SplitMix64 numbers its values, so there is no state, and nothing is read or seeded
    by the host.
    """
    place = torch.arange(1, count + 1, device=seeds.device)
    bits = seeds[:, None] + place * _signed(_INCREMENT)
    for shift, factor in _ROUNDS:
        bits = (bits ^ _shifted(bits, shift)) * _signed(factor)
    bits = bits ^ _shifted(bits, 31)
    # 23 bits: (2 k + 1) / 2^23 - 1 is exact in single precision, and neither -1 nor 1
    symmetric = (2 * _shifted(bits, 41) + 1).float() * 2.0**-23 - 1
    return torch.erfinv(symmetric) * math.sqrt(2)


def _signed(word: int) -> int:
    """A 64-bit word as int64 holds it."""
    return word - 2**64 if word >= 2**63 else word


def _shifted(words: Tensor, places: int) -> Tensor:
    """A shift to the right of unsigned words, which int64 holds."""
    return (words >> places) & (2 ** (64 - places) - 1)
