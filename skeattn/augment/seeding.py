"""Random generators: every draw is a function of (seed, iteration, view, operation)."""

import hashlib

import torch


def generator(seed: int, iteration: int, *names: str) -> torch.Generator:
    """A CPU generator that depends on its arguments alone.

    Parameters are drawn on the CPU for the whole global batch and sliced per process, so one process, eight processes
    and a GPU all get the same augmentations, and a resumed run needs no stored generator state.

    Args:
        seed: the run's seed.
        iteration: 0-based training iteration.
        names: names of the draw, for example of its view and operation.
    """
    text = '/'.join((str(seed), str(iteration), *names))
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest, 'big') >> 1)
