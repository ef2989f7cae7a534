"""What each process of the equality test runs; called alone it is the one-process reference."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import all_gather_object, get_world_size, is_main_process
from mmengine.hooks import Hook
from torch.nn.modules.batchnorm import _BatchNorm

from skeattn.engine import SkeAttnRunner
from skeattn.engine.hooks.steps import bare_model
from tests.engine.toy import toy_config
from tests.models.distilled import distilled_config
from tests.models.masked import layouts_config, masked_config
from tests.models.siamese import siamese_config
from tests.models.tuned import STARS_LINES

STEPS = 5
# Case -> overrides; BN is frozen but in the case 'free'. Nobody mines: features of a toy encoder are alike to the last
# bit, and which of them is nearest would be a matter of rounding.
CASES: dict[str, dict[str, Any]] = {
    'frozen': dict(model='skeattnclr'),
    'free': dict(model='skeattnclr'),
    # Clips at their native length, cropped and mixed: the longest of a batch is another one in each process.
    'cropped': dict(
        model='skeattnclr',
        model__data_preprocessor__views__query__crop=dict(_delete_=True, type='CropResize', min_frames=8),
    ),
    'matched': dict(model='skeattnclr', model__negatives='matched'),
    'apart': dict(model='skeattnclr', model__negatives='matched', model__gather_maps=False),
    # Gradients in their own memory, as mmengine has them; and losses compiled inside the wrapper.
    'copied': dict(model='skeattnclr', model_wrapper_cfg=dict(gradient_as_bucket_view=False)),
    'compiled': dict(model='skeattnclr', compile=dict(backend='aot_eager')),
    'skelemixclr': dict(model='skelemixclr'),
    'crossclr': dict(model='crossclr'),
    # Dropped edges are drawn like dropout, by each process.
    'hiclr': dict(model='hiclr', model__edges=None),
    # Without key encoder, without queue, or without both.
    'simsiam': dict(method='ToySimSiam'),
    'byol': dict(method='ToyBYOL'),
    'neighbours': dict(method='ToyNeighbours'),
    'barlowtwins': dict(method='ToyBarlowTwins'),
    # A loss of the global batch.
    'pstl': dict(method='PSTL'),
    # Masked tokens; with a teacher, whose target has the loss of a clip as well.
    'mamp': dict(target='motion'),
    'mamp_latent': dict(target='latent'),
    # Batches of one layout each.
    'layouts': dict(layouts=['ntu25', 'kinect20']),
    # Assignments to prototypes and distances of class tokens are those of the global batch.
    'slim': dict(distilled=True),
    # Predictions of all processes are compared, with their gradients.
    'stars': dict(
        model='skeletonclr',
        lines=STARS_LINES,
        model__from_scratch=True,
        model__trained=1.0,
        optim_wrapper__optimizer=dict(type='SGD', lr=0.05),
    ),
}

MAKERS = {
    'method': siamese_config,
    'target': masked_config,
    'layouts': layouts_config,
    'distilled': distilled_config,
}


class FreezeBN(Hook):
    """BatchNorm with its running statistics: the loss of a clip no longer depends on who shares its process."""

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        for module in runner.model.modules():
            if isinstance(module, _BatchNorm):
                module.eval()


class Notes(Hook):
    """The clips of every batch over all processes, and whether all ended with equal BN statistics."""

    def __init__(self) -> None:
        self.order: list[list[int]] = []
        self.means_equal = True

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        parts = all_gather_object(data_batch['index'].tolist())
        self.order.append([index for part in parts for index in part])

    def after_train(self, runner: Any) -> None:
        layers = [m for m in bare_model(runner).modules() if isinstance(m, _BatchNorm)]
        means = all_gather_object(torch.cat([torch.zeros(0), *(layer.running_mean for layer in layers)]))
        self.means_equal = all(torch.equal(mean, means[0]) for mean in means)


def config(folder: Path, data: Path, **options: Any) -> Config:
    """Without dropout, and with torch's initial weights: frozen BN does not rescale the config's small ones."""
    plain = dict(max_iters=STEPS, model__backbone__dropout=0.0, model__init_cfg=None)
    make = next((of for name, of in MAKERS.items() if name in options), toy_config)
    if make is distilled_config:  # its encoder has no dropout
        plain.pop('model__backbone__dropout')
    cfg = make(folder, data=data, **plain, **options)
    cfg.launcher = 'pytorch' if 'RANK' in os.environ else 'none'
    return cfg


def main(folder: Path, data: Path, case: str) -> None:
    """Train a case; the first process leaves checkpoints and metrics in ``folder``."""
    place = folder / f'rank{os.environ.get("RANK", 0)}_{case}'
    place.mkdir(parents=True)
    cfg = config(place, data, **CASES[case])
    cfg.work_dir = str(folder / case)
    runner, notes = SkeAttnRunner.from_cfg(cfg), Notes()
    runner.register_hook(notes, priority='LOWEST')
    if case != 'free':
        runner.register_hook(FreezeBN(), priority='LOWEST')
    runner.train()
    metrics = all_gather_object(runner.val())
    if is_main_process():
        found = {'order': notes.order, 'metrics': metrics, 'world': get_world_size(), 'means': notes.means_equal}
        (folder / f'{case}.json').write_text(json.dumps(found))
