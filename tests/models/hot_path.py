"""Every method as configured, with few channels, and one training step of it: hooks, views, loss, gradients, update."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.optim import OptimWrapper
from torch import is_tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from skeattn.engine.hooks import (
    LossScheduleHook,
    MomentumUpdateHook,
    NonFiniteHook,
    QueueUpdateHook,
    RandomnessHook,
)
from skeattn.engine.message_hub import LateMessageHub
from skeattn.models.momentum import has_key_encoder
from skeattn.models.queue import queues_of
from skeattn.registry import MODELS
from tests.conftest import ROOT

CLIPS, FRAMES = 4, 64
CONFIGS = ROOT / 'configs/_base_/models'
SMALL = {
    'STGCN': dict(layout='ntu25', base_channels=4, out_channels=16),
    'SkeletonTransformer': dict(layout='ntu25', out_channels=16, num_frames=FRAMES),
    'RotaryTransformer': dict(layout='ntu25', out_channels=16, depth=2),
}
METHODS = sorted(path.stem for path in CONFIGS.glob('*.py') if 'type' in Config.fromfile(path).get('model', {}))
BACKBONES = ['agcn', 'bigru', 'ctrgcn', 'dsta', 'stgcnpp', 'transformer']


def method(name: str, device: str = 'cpu', **changes: Any) -> Any:
    """The method of ``configs/_base_/models/<name>.py`` with narrow layers; ``changes`` by dotted key (``__``)."""
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    model, views = cfg.model, cfg.model.data_preprocessor
    views.layout, views.stream = 'ntu25', cfg.get('stream', 'joint')
    narrow = dict(backbone=dict(SMALL[model.backbone.type]))
    if 'queue' in model:
        narrow['queue'] = dict(size=32)
    if 'tube' in model:
        narrow['tube'] = 4  # a divisor of the patches
    if 'prototypes' in model.get('projector', {}):
        narrow['projector'] = dict(hidden_channels=16, prototypes=32)
    if model.type == 'Recognizer':
        narrow['head'] = dict(num_classes=3)
    cfg.merge_from_dict({'model': narrow})
    cfg.merge_from_dict({f'model.{key.replace("__", ".")}': value for key, value in changes.items()})
    built: Any = MODELS.build(cfg.model)
    if hasattr(built, 'mining'):
        built.mining = True
    return built.to(device).train()


def batch() -> dict[str, Any]:
    """A batch of the data set, in host memory."""
    clips = torch.randn(CLIPS, 3, FRAMES, 25, 2, generator=torch.Generator().manual_seed(0))
    native = {'native': clips, 'frames': torch.full((CLIPS,), FRAMES)}
    return {'inputs': clips, 'labels': torch.arange(CLIPS) % 3, 'index': torch.arange(CLIPS), **native}


class Steps:
    """Training steps as the Runner takes them, with the hooks that act in each of them; ``facts`` of every batch."""

    def __init__(self, model: Any, **facts: Any) -> None:
        self.facts = facts
        sgd = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1, momentum=0.9, nesterov=True)
        self.hooks = [RandomnessHook(), NonFiniteHook(), RuntimeInfoHook(), LossScheduleHook()]
        self.hooks += [MomentumUpdateHook()] if has_key_encoder(model) else []
        self.hooks += [QueueUpdateHook()] if queues_of(model) else []
        self.runner = SimpleNamespace(
            model=model,
            seed=0,
            iter=0,
            epoch=0,
            max_iters=100,
            max_epochs=1,
            work_dir='',
            optim_wrapper=OptimWrapper(sgd),
            param_schedulers=None,
            train_dataloader=Loader(),
            message_hub=LateMessageHub(f'hot path {id(self)}'),
            hooks=[LoggerHook(interval=50)],
        )
        self('before_train')
        self('before_train_epoch')

    def __call__(self, moment: str, *args: Any, **options: Any) -> None:
        for hook in self.hooks:
            getattr(hook, moment)(self.runner, *args, **options)

    def step(self) -> dict[str, torch.Tensor]:
        """One iteration; returns the values that it logs."""
        runner, data = self.runner, batch() | self.facts
        self('before_train_iter', runner.iter, data)
        outputs = runner.model.train_step(data, runner.optim_wrapper)
        self('after_train_iter', runner.iter, data_batch=data, outputs=outputs)
        runner.iter += 1
        return outputs


class Loader:
    """A loader of 100 batches."""

    dataset = SimpleNamespace()

    def __len__(self) -> int:
        return 100


class Operations(TorchDispatchMode):
    """Counts what a device is given to do.

    Attributes:
        counts: operation -> number of calls. Views of a tensor, which cost nothing there, are not counted.
        copies: what was copied from host memory to the device, by the operation that did it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.copies: list[str] = []
        self._lists = _Lists(self.copies)

    def __enter__(self) -> Any:
        self._lists.__enter__()
        return super().__enter__()

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)
        self._lists.__exit__(*raised)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if not func.is_view:
            name = str(func.overloadpacket).removeprefix('aten.')
            self.counts[name] += 1
            devices = {x.device.type for x in tree_leaves(args) if is_tensor(x) and x.ndim}
            if 'cpu' in devices and any(x.is_meta for x in tree_leaves(result) if is_tensor(x)):
                self.copies.append(name)
        return result


class _Lists(TorchFunctionMode):
    """Notes lists that become tensors of a device, as indices or by torch.tensor: no operation shows them."""

    def __init__(self, copies: list[str]) -> None:
        super().__init__()
        self.copies = copies

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if func in (torch.Tensor.__getitem__, torch.Tensor.__setitem__):
            index = args[1] if isinstance(args[1], tuple) else (args[1],)
            listed = args[0].is_meta and any(isinstance(part, list) for part in index)
        else:
            listed = func in (torch.tensor, torch.as_tensor) and isinstance(args[0], list | tuple) and result.is_meta
        if listed:
            self.copies.append(func.__name__)
        return result
