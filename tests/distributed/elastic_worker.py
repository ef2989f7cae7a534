"""What each process of a training runs that stops and is resumed by another number of processes."""

import contextlib
import os
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_gather, is_main_process
from mmengine.hooks import Hook

from skeattn.engine import SkeAttnRunner
from skeattn.errors import Interrupted
from tests.distributed.worker import FreezeBN
from tests.engine.toy import toy_config


class Stop(Hook):
    """End the training in all processes after an iteration and its checkpoint, as at a signal."""

    priority = 'LOWEST'

    def __init__(self, iterations: int | None) -> None:
        self.iterations = iterations

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        if runner.iter + 1 == self.iterations:
            raise Interrupted


class Seen(Hook):
    """Clips, views and loss of every iteration, over all processes.

    Attributes:
        clips: iteration -> their places in the data set.
        views: iteration -> mean of each clip of each view.
        losses: iteration -> mean over the processes.
    """

    def __init__(self) -> None:
        self.clips: dict[int, list[int]] = {}
        self.views: dict[int, dict[str, torch.Tensor]] = {}
        self.losses: dict[int, float] = {}
        self._drawn: dict[str, torch.Tensor] = {}

    def before_train(self, runner: Any) -> None:
        model = getattr(runner.model, 'module', runner.model)
        model.data_preprocessor.register_forward_hook(self._keep)

    def _keep(self, module: Any, arguments: Any, result: Any) -> None:
        views = {name: view for name, view in result['inputs'].items() if view.ndim == 5}
        self._drawn = {name: view.flatten(1).mean(dim=1) for name, view in views.items()}

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        self.clips[runner.iter] = torch.cat(all_gather(data_batch['index'])).tolist()
        self.views[runner.iter] = {name: torch.cat(all_gather(means)) for name, means in self._drawn.items()}
        self.losses[runner.iter] = torch.stack(all_gather(outputs['loss'].detach())).mean().item()


def train(folder: Path, data: Path, until: int | None, resume: bool, frozen: bool = True) -> None:
    """Train in ``folder``, a checkpoint each iteration, and leave what was seen beside it.

    Args:
        folder: of the run.
        data: the set.
        until: iterations after which it stops; None trains to the end.
        resume: continue.
        frozen: BatchNorm with its running statistics, and no dropout: the loss of a clip does not depend on who shares
            its process.
    """
    place = folder / f'rank{os.environ.get("RANK", 0)}'
    place.mkdir(parents=True, exist_ok=True)
    plain = dict(model__backbone__dropout=0.0, model__init_cfg=None) if frozen else {}
    cfg = toy_config(
        place, data=data, evaluation=None, default_hooks__checkpoint__save_best=None, resume=resume,
        default_hooks__checkpoint__iterations=1, default_hooks__checkpoint__max_keep=9, **plain,
    )  # fmt: skip
    cfg.work_dir, cfg.launcher = str(folder / 'run'), 'pytorch' if 'RANK' in os.environ else 'none'
    runner, seen = SkeAttnRunner.from_cfg(cfg), Seen()
    runner.register_hook(seen)
    runner.register_hook(Stop(until))
    if frozen:
        runner.register_hook(FreezeBN(), priority='LOWEST')
    with contextlib.suppress(Interrupted):
        runner.train()
    if is_main_process():
        facts = {'clips': seen.clips, 'views': seen.views, 'losses': seen.losses}
        torch.save(facts, folder / f'seen_{until}.pt')
