"""Facts of a checkpoint's run, their differences from a config, and schedules that follow a changed config."""

import contextlib
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mmengine.config import Config
from torch import nn

from skeattn.checkpoint import stated_config
from skeattn.datasets.union import digest_of, is_packed
from skeattn.engine.config import resolve_config
from skeattn.engine.hooks.steps import CURVES
from skeattn.engine.places import GIVEN, lookup
from skeattn.errors import ConfigError

HARMLESS = (
    'evaluation', 'val_cfg', 'val_dataloader', 'val_evaluator', 'test_cfg', 'test_dataloader', 'test_evaluator',
    'train_cfg.timeout', 'train_cfg.max_epochs', 'train_cfg.max_iters', 'train_cfg.val_interval',
    'train_cfg.val_begin', 'max_iters',
    'train_dataloader.num_workers', 'train_dataloader.persistent_workers', 'train_dataloader.pin_memory',
    'train_dataloader.prefetch_factor', 'train_dataloader.timeout', 'default_hooks.logger', 'default_hooks.checkpoint',
    'default_hooks.timer', 'default_hooks.non_finite', 'default_hooks.accuracy', 'log_processor', 'log_level',
    'visualizer', 'work_dir', 'launcher', 'env_cfg', 'amp', 'compile', 'find_unused_parameters',
    'model_wrapper_cfg', 'custom_hooks', 'custom_imports', 'default_scope', 'experiment_name', 'protocols',
    'dataset.cache', 'dataset.device', 'world_size', 'versions',
)  # fmt: skip
"""Keys that do not change what a training computes, with everything below them; every other key does."""
_SAME_PRECISION: dict[Any, str] = {'AutocastOptimWrapper': ' (amp=True)', 'OptimWrapper': ' (amp=False)'}
OF_THE_COMMAND = ('resume', 'load_from')
SCHEDULE = (
    'optim_wrapper', 'param_scheduler', 'train_cfg', 'max_iters', 'batch_size', 'dataset', 'manifest_sha256',
    'auto_scale_lr', 'default_hooks.param_scheduler', 'train_dataloader',
)  # fmt: skip
"""Keys that learning rates depend on."""
# Places that resolve_config fills, and the keys that they follow.
FILLED = {
    **{place: key for key, places in GIVEN.items() for place in places},
    'train_dataloader.dataset': 'dataset',
    'train_dataloader.batch_size': 'batch_size',
    'train_dataloader.sampler.batch_size': 'batch_size',
    'train_cfg.max_iters': 'max_iters',
    'param_scheduler.T_max': 'train_cfg.max_epochs',
    'param_scheduler.epochs': 'train_cfg.max_epochs',
    'model.backbone.num_persons': 'dataset.pipeline',
}


class Difference(NamedTuple):
    """A setting that a checkpoint and a config disagree on; None where a side does not set it."""

    key: str
    then: Any
    now: Any

    def __str__(self) -> str:
        return f'{self.key}={_text(self.then)}, the config says {_text(self.now)}'

    @property
    def harmless(self) -> bool:
        """Whether the training computes the same with either value."""
        return below(self.key, HARMLESS)


def below(key: str, names: Sequence[str]) -> bool:
    """Whether a dotted key is one of the names or lies below one."""
    return any(key == name or key.startswith(f'{name}.') for name in names)


def run_facts(cfg: Config, model: nn.Module) -> dict[str, Any]:
    """The facts of a run that :func:`compare` reads.

    Args:
        cfg: the config as written.
        model: built from it, not wrapped.

    Returns:
        ``config``: the resolved config of a single process, as plain values; ``manifest_sha256`` of the data set, None
        where it has no manifest; ``paper_vs_release`` of the method, name -> [value, origin].
    """
    resolved = resolve_config(cfg)
    if isinstance(cfg.get('layout'), Mapping):
        resolved.layout = cfg.layout
    choices = {name: [simple(value), origin] for name, (value, origin) in paper_vs_release(model).items()}
    data = lookup(cfg, 'dataset').get('data')
    return {
        'config': simple(resolved.to_dict()),
        'manifest_sha256': digest_of(data) if is_packed(data) else None,
        'paper_vs_release': choices,
    }


def paper_vs_release(model: nn.Module) -> dict[str, tuple[Any, str]]:
    """The choices that a method declares, by the old name ``switches`` where a custom method defines that one."""
    for name in ('switches', 'paper_vs_release'):
        declared = getattr(model, name, None)
        if declared:
            choices: dict[str, tuple[Any, str]] = declared()
            return choices
    return {}


def simple(value: Any) -> Any:
    """A config's value as builtin types; classes and functions by their name."""
    if isinstance(value, Mapping):
        return {str(key): simple(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [simple(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return getattr(value, '__qualname__', None) or str(value)


def compare(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """The differences between the ``meta`` of a checkpoint and that of the present run.

    A checkpoint of an earlier version, which keeps its config as text only, is compared as far as the text can be read.
    """
    written = then['config'] if 'config' in then else _from_text(then)
    present = now['config'] if 'config' in then else {k: v for k, v in now['config'].items() if k in written}
    listed = list(differences(written, present))
    keys = [difference.key for difference in listed]
    listed = [d for d in listed if d.key not in OF_THE_COMMAND and not _follows(d.key, keys)]
    manifests = [facts.get('manifest_sha256') for facts in (then, now)]
    if None not in manifests:
        # The same clips in a different folder are the same data.
        listed = [d for d in listed if d.key != 'dataset.data' or manifests[0] != manifests[1]]
        if manifests[0] != manifests[1] and 'dataset.data' not in keys:
            listed.append(Difference('manifest_sha256', *manifests))
    if not below_any(keys, 'model') and 'paper_vs_release' in then:
        # A choice that the earlier version did not have: its default is what that version did.
        known = then['paper_vs_release']
        choices = [{k: v for k, (v, _) in facts['paper_vs_release'].items() if k in known} for facts in (then, now)]
        listed += differences(choices[0], choices[1], 'paper_vs_release')
    for key in ('world_size', 'versions'):
        if key in then:
            listed += differences(then[key], now[key], key)
    return listed


def below_any(keys: Sequence[str], name: str) -> bool:
    """Whether one of the keys lies below a name."""
    return any(below(key, [name]) for key in keys)


def check_changes(source: str, listed: Sequence[Difference], accepted: Sequence[str]) -> list[Difference]:
    """The differences that change the run and were accepted.

    Args:
        source: the checkpoint, for the message.
        listed: differences of :func:`compare`.
        accepted: keys that may differ, with everything below them.

    Raises:
        ConfigError: further differences change the run; the message lists all of them.
    """
    changes = [difference for difference in listed if not difference.harmless]
    refused = [difference for difference in changes if not below(difference.key, accepted)]
    if refused:
        text = '; '.join(map(str, refused))
        precision = next((_SAME_PRECISION.get(d.then, '') for d in refused if d.key == 'optim_wrapper.type'), '')
        raise ConfigError(
            f'{source} was trained with {text}; restore these settings{precision}, start a new run in a different '
            f'work_dir, or continue with the new ones: --resume-with-changes {" ".join(d.key for d in refused)}'
        )
    return changes


def iterations_per_epoch(meta: Mapping[str, Any]) -> int | None:
    """Batches in an epoch of a checkpoint's run; None where it is unknown."""
    if meta.get('iterations_per_epoch') is not None:
        return int(meta['iterations_per_epoch'])
    return math.ceil(meta['iter'] / meta['epoch']) if meta.get('epoch') and meta.get('iter') else None


def restore_optimizer(wrapper: Any, state: Mapping[str, Any]) -> str | None:
    """Load the state of an optimiser, such as its momentum, but keep rates and other settings as built.

    Returns:
        the reason why it starts without state; None if the state was loaded.
    """
    built = [{key: value for key, value in group.items() if key != 'params'} for group in wrapper.param_groups]
    try:
        wrapper.load_state_dict(state)
    except (ValueError, KeyError) as error:
        return str(error)
    for group, settings in zip(wrapper.param_groups, built, strict=True):
        for key in [key for key in group if key != 'params' and key not in settings]:
            del group[key]
        group.update(settings)
    return None


def replay(schedulers: Sequence[Any], epochs: int, iterations: int, length: int, losses: Sequence[float]) -> None:
    """Advance new schedules to the state that a training with their settings would have reached.

    Args:
        schedulers: as built; they have not been stepped yet.
        epochs: completed epochs.
        iterations: completed iterations.
        length: iterations in an epoch.
        losses: mean training loss of every epoch, for schedules that wait for a plateau; empty if unknown.
    """
    by_iteration = [scheduler for scheduler in schedulers if not scheduler.by_epoch]
    by_epoch = [scheduler for scheduler in schedulers if scheduler.by_epoch]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')  # torch expects steps of the optimiser between those of a schedule
        for epoch in range(max(epochs, math.ceil(iterations / length))):
            for _ in range(min(length, iterations - epoch * length) if by_iteration else 0):
                for scheduler in by_iteration:
                    scheduler.step()
            for scheduler in by_epoch if epoch < epochs else ():
                scheduler.step()
            for scheduler in by_epoch if epoch < min(epochs, len(losses)) else ():
                if getattr(scheduler, 'need_val_args', False):
                    scheduler.step({scheduler.monitor: losses[epoch]})


def epoch_losses(checkpoint: Mapping[str, Any]) -> list[float]:
    """The mean training loss of every epoch that a checkpoint keeps."""
    curves = checkpoint['message_hub'].get('runtime_info', {}).get(CURVES) or {}
    return list(curves.get('loss', []))


def _from_text(meta: Mapping[str, Any]) -> dict[str, Any]:
    """The config of a checkpoint of an earlier version, limited to plain values in its text."""
    stated = {key: meta[key] for key in ('seed', 'stream', 'batch_size') if key in meta} | stated_config(meta)
    with contextlib.suppress(ConfigError):
        stated = resolve_config(Config(stated)).to_dict()
    plain: dict[str, Any] = simple(stated)
    return plain


def differences(then: Any, now: Any, key: str = '') -> Iterator[Difference]:
    """The smallest settings that differ; a section that only one side has counts as one setting."""
    then, now = _single(then), _single(now)
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for name in dict.fromkeys([*then, *now]):
            yield from differences(then.get(name), now.get(name), f'{key}.{name}' if key else name)
        steps = [[name for name, value in side.items() if isinstance(value, Mapping)] for side in (then, now)]
        if _ordered(key) and steps[0] != steps[1] and set(steps[0]) == set(steps[1]):
            yield Difference(key, ' -> '.join(steps[0]), ' -> '.join(steps[1]))
    elif _sections(then) and _sections(now) and len(then) == len(now):
        for index, (old, new) in enumerate(zip(then, now, strict=True)):
            yield from differences(old, new, f'{key}.{index}')
    elif then != now and not (_empty(then) and _empty(now)):
        yield Difference(key, then, now)


def _ordered(key: str) -> bool:
    """Whether the steps at a key run in the order written."""
    return key.endswith('.pipeline') or key.rpartition('.')[0].endswith('.views')


def _sections(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _single(value: Any) -> Any:
    return value[0] if _sections(value) and len(value) == 1 else value


def _empty(value: Any) -> bool:
    return value is None or value in ({}, [])


def _follows(key: str, keys: Sequence[str]) -> bool:
    """Whether a place only repeats a setting that is itself among the differences."""
    place = re.sub(r'\.\d+(?=\.)', '', key)  # of one among several schedules
    return any(below(place, [filled]) and below_any(keys, source) for filled, source in FILLED.items())


def _text(value: Any, most: int = 70) -> str:
    text = 'not set' if value is None else repr(value)
    return text if len(text) <= most else f'{text[: most - 1]}…'


def note(difference: Difference, meta: Mapping[str, Any]) -> str:
    """An easily overlooked consequence of a difference.

    Args:
        difference: of :func:`compare`.
        meta: of the present run.
    """
    if difference.key == 'world_size':
        share = meta['batch_size'] // meta['world_size']
        return (
            f': clips, views and keys stay the same, but BatchNorm normalises over {share} clips of a process and '
            f'dropout draws differently'
        )
    if difference.key in ('train_cfg.max_epochs', 'max_iters'):
        return ': learning rates and momentum follow the new length'
    return ''
