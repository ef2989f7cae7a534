"""What the machine reaches at best: matrix products and copies."""

import torch

from skeattn.benchmark.rounds import Clock

CALLS = 5


def ceilings(clock: Clock, size: int, copied: int) -> dict[str, float]:
    """Best of some calls: GFLOP/s of square matrix products, GB/s of a copy.

    Args:
        clock: of the device.
        size: of the matrices.
        copied: bytes of the copy, more than the caches hold.

    Returns:
        ``matmul_float32``, ``matmul_bfloat16``, and on CUDA ``matmul_tf32``; ``copy``, read and written bytes.
    """
    found = {}
    kinds = {'float32': torch.float32, 'bfloat16': torch.bfloat16}
    if clock.device.type == 'cuda':
        kinds['tf32'] = torch.float32
    precision = torch.get_float32_matmul_precision()
    for name, dtype in kinds.items():
        torch.set_float32_matmul_precision('high' if name == 'tf32' else 'highest')
        a, b = (torch.randn(size, size, device=clock.device).to(dtype) for _ in range(2))
        found[f'matmul_{name}'] = 2 * size**3 / _best(clock, lambda a=a, b=b: a @ b) / 1e9  # type: ignore[misc]
    torch.set_float32_matmul_precision(precision)
    source = torch.ones(copied // 4, device=clock.device)
    target = torch.empty_like(source)
    found['copy'] = 2 * 4 * source.numel() / _best(clock, lambda: target.copy_(source)) / 1e9
    return found


def _best(clock: Clock, run: object) -> float:
    return max(1e-9, min([clock.seconds(run) for _ in range(CALLS)][1:]))  # type: ignore[arg-type]
