"""What the training log says: means over a window of iterations and over all processes."""

from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.runner.log_processor import LogProcessor as _LogProcessor

from skeattn.engine.hooks.checkpoint import SafeCheckpointHook
from skeattn.engine.places import LOGS

RATES = ('lr', 'momentum')
"""Ends of the names of scalars that are the same in all processes."""


@LOGS.register_module()
class SharedLogProcessor(_LogProcessor):
    """mmengine's log processor; the scalars of a training are means over all processes, each of which has other clips.

    All processes call it at the same iterations, as LoggerHook does. A line of the training ends with the latest score
    of every metric by which the best checkpoint is chosen, and its epoch.
    """

    def get_log_after_iter(self, runner: Any, batch_idx: int, mode: str) -> tuple[dict, str]:
        """mmengine's values and line; the line of a training has the latest scores as well."""
        tag, line = super().get_log_after_iter(runner, batch_idx, mode)
        return tag, '  '.join([line, *_latest_scores(runner)]) if mode == 'train' else line

    def _collect_scalars(self, custom_cfg: list[dict], runner: Any, mode: str, reserve_prefix: bool = False) -> dict:
        scalars: dict[str, Any] = super()._collect_scalars(custom_cfg, runner, mode, reserve_prefix)
        if mode != 'train' or get_world_size() == 1:
            return scalars
        names = sorted(
            name
            for name, value in scalars.items()
            if isinstance(value, int | float) and not name.rpartition('.')[2].rpartition('/')[2].endswith(RATES)
        )
        values = torch.tensor([scalars[name] for name in names], dtype=torch.float64, device=_device(runner))
        all_reduce(values, op='mean')
        return {**scalars, **dict(zip(names, values.tolist(), strict=True))}


def _latest_scores(runner: Any) -> list[str]:
    """The metrics of ``save_best`` at the latest evaluation, such as ``knn/top1_k20: 77.5 (epoch 20)``."""
    hooks = [hook for hook in runner.hooks if isinstance(hook, SafeCheckpointHook)]
    scores = [item for hook in hooks for item in hook.latest.items()]
    return [f'{metric}: {score:.1f} (epoch {epoch})' for metric, (score, epoch) in scores]


def _device(runner: Any) -> torch.device:
    parameter: torch.Tensor = next(runner.model.parameters())
    return parameter.device
