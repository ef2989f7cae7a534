"""Switches of speed: what they are, and what they change.

Those that change numbers by more than rounding are off by default, apart from ``amp`` in the configs of large sets.
"""

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.config import Config

from skeattn.engine.amp import AutocastOptimWrapper
from skeattn.errors import ConfigError
from skeattn.hardware import cpu_bfloat16

AMP = (None, True, False, 'auto')
PLAIN = ('OptimWrapper', 'AutocastOptimWrapper')
PRECISIONS = ('highest', 'high', 'medium')
WRAPPER = {'type': 'MMDistributedDataParallel', 'broadcast_buffers': False, 'gradient_as_bucket_view': True}
"""How a model is wrapped for several processes: gradients lie where they are exchanged, which saves a copy."""


def resolve_amp(cfg: Config) -> None:
    """Write the type of ``optim_wrapper`` that ``amp`` asks for, see :func:`set_precision`.

    Raises:
        ConfigError: as there.
    """
    if cfg.get('optim_wrapper') is not None:
        cfg.optim_wrapper = set_precision(cfg.optim_wrapper, cfg.get('amp'))
    elif cfg.get('amp') not in AMP:
        raise ConfigError(f'amp={cfg.amp!r}; choose True, False or "auto"')


def set_precision(wrapper: Mapping[str, Any], amp: Any) -> dict[str, Any]:
    """An optimiser wrapper's config, with the type that ``amp`` asks for.

    ``True``: bfloat16 autocast; ``False``: single precision; ``'auto'``: bfloat16 on a GPU that computes in it, on such
    a CPU as the type says, and single precision wherever bfloat16 would be emulated. A wrapper of another type is kept.

    Raises:
        ConfigError: ``amp`` is none of these, or True or False beside an optimiser wrapper of another type.
    """
    if amp not in AMP:
        raise ConfigError(f'amp={amp!r}; choose True, False or "auto"')
    fast = computes_in_bfloat16()
    if amp is None or (amp == 'auto' and fast and gpu_bfloat16() is None):
        return dict(wrapper)
    kind = wrapper.get('type', 'OptimWrapper')
    if kind in PLAIN or kind is AutocastOptimWrapper:
        kind = 'AutocastOptimWrapper' if amp is True or (amp == 'auto' and fast) else 'OptimWrapper'
    elif amp != 'auto':
        raise ConfigError(f'amp={amp}, but optim_wrapper.type={kind!r} decides the precision itself; remove amp')
    return {**wrapper, 'type': kind}


def computes_in_bfloat16() -> bool:
    """Whether the GPU, or the processor where there is none, has bfloat16 in hardware."""
    gpu = gpu_bfloat16()
    return cpu_bfloat16() if gpu is None else gpu


def gpu_bfloat16() -> bool | None:
    """Whether the GPU has bfloat16 in hardware; None where there is no GPU."""
    return torch.cuda.is_bf16_supported(including_emulation=False) if torch.cuda.is_available() else None


def set_matmul_precision(env_cfg: Mapping[str, Any]) -> None:
    """``env_cfg.matmul_precision``: ``'high'`` multiplies single-precision matrices in TF32, on a GPU.

    Raises:
        ConfigError: an unknown precision.
    """
    precision = env_cfg.get('matmul_precision', 'highest')
    if precision not in PRECISIONS:
        raise ConfigError(f'env_cfg.matmul_precision={precision!r}; choose one of {", ".join(PRECISIONS)}')
    torch.set_float32_matmul_precision(precision)


def fused(optimizer: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """An optimiser's config, on a GPU with one kernel for all parameters where the class offers it."""
    cfg = dict(optimizer)
    chosen = cfg.keys() & {'fused', 'foreach', 'capturable', 'differentiable'}
    if device.type == 'cuda' and not chosen and cfg.get('type') in ('SGD', 'Adam', 'AdamW'):
        cfg['fused'] = True
    return cfg


def wrapper_settings(cfg: Mapping[str, Any] | None, find_unused_parameters: bool = False) -> dict[str, Any]:
    """:data:`WRAPPER` with the changes of ``model_wrapper_cfg``; a wrapper of another type is built as written."""
    cfg = dict(cfg or {})
    if cfg.get('type', WRAPPER['type']) != WRAPPER['type']:
        return cfg
    return {**WRAPPER, 'find_unused_parameters': find_unused_parameters, **cfg}


def speed_choices(cfg: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    """The switches of a resolved config: name -> (value, what it does)."""
    env = cfg.get('env_cfg') or {}
    bfloat16 = (cfg.get('optim_wrapper') or {}).get('type') in ('AutocastOptimWrapper', AutocastOptimWrapper)
    single = 'single precision' if computes_in_bfloat16() else 'single precision; bfloat16 is not in the hardware'
    return {
        'amp': (cfg.get('amp'), 'forward pass in bfloat16' if bfloat16 else single),
        'env_cfg.matmul_precision': (env.get('matmul_precision', 'highest'), 'highest: no TF32 in matrix products'),
        'env_cfg.cudnn_benchmark': (env.get('cudnn_benchmark', False), 'True: the fastest convolution is looked for'),
        'compile': (cfg.get('compile'), 'True: losses as one compiled graph, replayed by a GPU'),
        'dataset.device': ((cfg.get('dataset') or {}).get('device', 'auto'), 'auto: on the accelerator if it fits'),
    }
