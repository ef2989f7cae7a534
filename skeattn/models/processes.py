"""Statistics of the global batch, which several processes hold in parts."""

from mmengine.dist import all_reduce, get_world_size
from torch import Tensor


def mean_over_processes(x: Tensor) -> Tensor:
    """The mean of a tensor over all processes, with a gradient.

    Each process computes the same loss from the mean, and distributed training averages the gradients of all. So the
    gradient of a process is passed to its own part as it is, not divided: the average divides it.
    """
    if get_world_size() == 1:
        return x
    mean = x.detach().clone()
    all_reduce(mean, op='mean')
    return x + (mean - x.detach())
