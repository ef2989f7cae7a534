"""Sections on training: views, backbones, whole steps."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from skeattn.benchmark.reference.methods import METHODS, sgd, train_step
from skeattn.benchmark.reference.network import STGCN
from skeattn.benchmark.reference.views import Feeder
from skeattn.benchmark.rounds import Group, Variant
from skeattn.benchmark.setting import METHOD_CONFIGS, Clips, Setting, config, method_config, pasted
from skeattn.channels import AXES
from skeattn.engine.amp import AutocastOptimWrapper
from skeattn.engine.build import load_model
from skeattn.engine.compiled import compile_loss, compile_settings
from skeattn.engine.config import read_config, resolve_config
from skeattn.engine.speed import fused
from skeattn.evaluation.features import frozen
from skeattn.models.momentum import has_key_encoder
from skeattn.models.queue import queues_of
from skeattn.registry import BACKBONES, MODELS
from skeattn.skeletons import get_layout

ENCODERS = ('stgcn', 'agcn', 'stgcnpp', 'ctrgcn', 'bigru', 'dsta', 'transformer')


def views(setting: Setting) -> Iterator[Group]:
    """The training views of a batch, the reading of the clips included."""
    data = Clips(2 * setting.views, setting.frames)
    indices = list(range(0, 2 * setting.views, 2))
    for method in METHODS:
        feeder = Feeder(data.array, method, units=pasted(setting))
        preprocessor = MODELS.build(method_config(method, setting).model.data_preprocessor)
        reference = Variant('reference, numpy', partial(feeder.views, indices, setting.device), setting.views)
        ours = Variant('ours', partial(_our_views, preprocessor.to(setting.device), data, indices), setting.views)
        number = 1 + len(feeder.views(indices[:3]))  # what is read, and every view
        moved = number * data.clips[indices].numel() * 4
        variants = [Variant(v.name, v.run, v.units, moved, counted=False) for v in (reference, ours)]
        names = {'SkeletonCLR': 'two views: crop, shear', 'SkeAttnCLR': 'two views and a mixed one'}
        yield Group(names.get(method, f'views of {method}'), variants)


def backbones(setting: Setting) -> Iterator[Group]:
    """Forward and backward pass of every backbone."""
    x = Clips(setting.batch, setting.frames).clips.to(setting.device)
    for name in ENCODERS:
        cfg = config(f'skeattnclr/{name}_{"demo" if setting.small else "ntu60_xsub"}')
        backbone = BACKBONES.build(cfg.model.backbone).to(setting.device).train()
        variants = []
        if name == 'stgcn':
            options = {key: cfg.model.backbone[key] for key in ('graph', 'dropout')}
            width, channels = (cfg.model.backbone[key] for key in ('base_channels', 'out_channels'))
            reference = STGCN(nn.Identity(), width, channels, **options).to(setting.device).train()
            variants += _both(f'reference {name}', setting, reference, reference.map, x)
        variants += _both(name, setting, backbone, backbone, x.permute(0, 4, 1, 2, 3).contiguous())
        yield Group(f'{name}, {cfg.model.backbone.type}', variants)


def steps(setting: Setting) -> Iterator[Group]:
    """Whole training steps: clips read, views, losses, optimiser, key encoder, queue, logged values."""
    for method in METHOD_CONFIGS:
        for width in setting.widths if method == 'SkeAttnCLR' else setting.widths[:1]:
            variants = _reference_steps(method, width, setting) if method in METHODS else []
            variants += [
                our_step(method, width, setting, amp, f'ours {name}') for name, amp in setting.precisions.items()
            ]
            if torch.device(setting.device).type == 'cuda' and method == 'SkeAttnCLR':  # two minutes of compiling
                variants.append(our_step(method, width, setting, True, 'ours bfloat16, compiled', switch=True))
            yield Group(f'{method}, width {width}', variants)


def of_config(path: str, setting: Setting, persons: int | None = None) -> Group:
    """Steps of one config in both precisions, its views, and features of the batch.

    Args:
        path: of the config; its data set is not read.
        setting: device, batch and frames.
        persons: M; by default those that the config packs.
    """
    cfg = resolve_config(read_config(path, {}))
    model: Any = load_model(cfg).to(setting.device)
    persons, joints = persons or cfg.dataset.pipeline.pack.num_persons, get_layout(cfg.layout).num_joints
    channels, native = len(cfg.get('channels') or AXES), model.data_preprocessor.reads_native
    data = Clips(4 * setting.batch, setting.frames, joints, persons, channels, native)
    indices = list(range(setting.batch))

    def features() -> None:
        with frozen(model):
            model.features(data.__getitems__(indices))

    runs = {f'step, {name}': _step(load_model(cfg), data, setting, amp) for name, amp in setting.precisions.items()}
    runs['views alone'] = partial(_our_views, model.data_preprocessor, data, indices)
    runs['features of the clips (evaluation)'] = features
    return Group(cfg.model.type, [Variant(name, run, setting.batch) for name, run in runs.items()])


def _our_views(preprocessor: Any, data: Clips, indices: list[int]) -> Mapping[str, Tensor]:
    preprocessor.begin_iteration(0, 0)
    return preprocessor(data.__getitems__(indices), training=True)['inputs']


def _both(
    name: str, setting: Setting, module: nn.Module, forward: Callable[[Tensor], Tensor], x: Tensor
) -> list[Variant]:
    """Forward and backward pass in both precisions."""

    def run(amp: bool) -> None:
        with torch.autocast(x.device.type, torch.bfloat16, enabled=amp):
            out = forward(x)
        module.zero_grad()
        out.float().square().mean().backward()

    return [Variant(f'{name} {kind}', partial(run, amp), setting.batch) for kind, amp in setting.precisions.items()]


def _reference_steps(method: str, width: int, setting: Setting) -> list[Variant]:
    data = Clips(4 * setting.batch, setting.frames)
    sizes = dict(width=width, queue=setting.queue) | (dict(channels=8) if setting.small else {})
    found = []
    for name, amp in setting.precisions.items():
        model = METHODS[method](**sizes).to(setting.device).train()
        optimizer, feeder = sgd(model), Feeder(data.array, method, units=pasted(setting))

        def run(model: Any = model, optimizer: Any = optimizer, feeder: Any = feeder, amp: bool = amp) -> None:
            indices = torch.randint(len(data), (setting.batch,)).tolist()
            forward = torch.autocast(torch.device(setting.device).type, torch.bfloat16, enabled=amp)
            train_step(model, optimizer, feeder.views(indices, setting.device), forward)

        found.append(Variant(f'reference {name}', run, setting.batch))
    return found


def our_step(method: str, width: int, setting: Setting, amp: bool, name: str, switch: Any = None) -> Variant:
    """The training step of a method; ``switch`` is the value of ``compile``."""
    data, model = Clips(4 * setting.batch, setting.frames), load_model(method_config(method, setting, width))
    settings = compile_settings(switch, torch.device(setting.device))
    if settings is not None:
        compile_loss(model, settings)
    return Variant(name, _step(model, data, setting, amp), setting.batch)


def _step(model: Any, data: Clips, setting: Setting, amp: bool) -> Callable[[], object]:
    """What an iteration of the Runner does, with what its hooks do to the model."""
    model = model.to(setting.device).train()
    trainable = [p for p in model.parameters() if p.requires_grad]
    sgd = fused({'type': 'SGD', 'lr': 0.1, 'momentum': 0.9, 'weight_decay': 1e-4}, torch.device(setting.device))
    optimizer = torch.optim.SGD(trainable, **{key: value for key, value in sgd.items() if key != 'type'})
    data = data.on(setting.device)
    wrapper = (AutocastOptimWrapper if amp else OptimWrapper)(optimizer=optimizer)
    iteration = 0

    def run() -> None:
        nonlocal iteration
        indices = torch.randint(len(data), (setting.batch,)).tolist()
        model.data_preprocessor.begin_iteration(0, iteration)
        logs = model.train_step(data.__getitems__(indices), wrapper)
        if has_key_encoder(model):
            model.update_key_encoder(0.99, buffers=True)
        for queue in queues_of(model):
            queue.flush()
        _ = {name: value.item() for name, value in logs.items()}
        iteration += 1

    return run
