"""Rules for the optimiser: the rates of layers, the clipping of gradients."""

from collections.abc import Iterable, Mapping
from typing import Any

import mmengine.optim
from mmengine.model import is_model_wrapper
from mmengine.optim import DefaultOptimWrapperConstructor
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from skeattn.engine.places import CONSTRUCTORS, OPTIM_WRAPPERS, PARAM_SCHEDULERS
from skeattn.engine.schedules import WarmupCosineLR
from skeattn.errors import ConfigError, did_you_mean
from skeattn.models.depth import depths


@OPTIM_WRAPPERS.register_module()
class OptimWrapper(mmengine.optim.OptimWrapper):
    """mmengine's wrapper, with two more rules of clipping, which read nothing from the device.

    Args:
        optimizer, kwargs: see mmengine's OptimWrapper.
        clip_grad: its ``type`` may also be ``'each'``: the gradient of each parameter is scaled to a norm of at most
            ``max_norm``, whatever the others are; or ``'part'``: likewise the gradients of each part of the model, that
            is, of its encoder and of each of its heads together (DINO, SLiM).

    Raises:
        ConfigError: ``clip_grad`` lacks ``max_norm`` (``clip_value`` of the type ``'value'``), or has keys of another
            type.
    """

    _parts: list[list[Tensor]] | None = None

    def __init__(self, optimizer: Optimizer, clip_grad: dict[str, Any] | None = None, **kwargs: Any) -> None:
        settings = dict(clip_grad or {})
        if settings:
            _check_clip_grad(**settings)
        rule = settings.pop('type') if settings.get('type') in ('each', 'part') else None
        super().__init__(optimizer, clip_grad=settings or None, **kwargs)
        if rule:
            self.clip_func = clip_each if rule == 'each' else self._clip_parts
        self._by_parts = rule == 'part'

    def optim_context(self, model: nn.Module) -> Any:
        """mmengine's context of a training step; it also shows the wrapper which parts the model has."""
        if self._by_parts and self._parts is None:
            bare: Any = model.module if is_model_wrapper(model) else model
            self._parts = [[p for p in part.parameters() if p.requires_grad] for part in bare.children()]
        return super().optim_context(model)

    def _clip_parts(self, parameters: Iterable[Tensor], max_norm: float, norm_type: float = 2.0) -> None:
        """Scale the gradients of each part of the model to a norm of at most ``max_norm``."""
        known = self._parts or []
        inside = {id(p) for part in known for p in part}
        for part in [*known, [p for p in parameters if id(p) not in inside]]:
            if part:
                clip_grad_norm_(part, max_norm, norm_type)


def _check_clip_grad(type: str = 'norm', **settings: Any) -> None:
    needed = 'clip_value' if type == 'value' else 'max_norm'
    known = {needed, 'foreach'} if type == 'value' else {needed, 'norm_type'}
    known |= {'foreach', 'error_if_nonfinite'} if type == 'norm' else set()
    if needed not in settings:
        what = 'value' if type == 'value' else 'norm'
        raise ConfigError(f'optim_wrapper.clip_grad: type="{type}" needs {needed}, the largest {what} of a gradient')
    if others := sorted({*settings} - known):
        raise ConfigError(
            f'optim_wrapper.clip_grad: type="{type}" has no {others[0]!r}; its keys are {", ".join(sorted(known))}'
        )


def check_custom_keys(model: nn.Module, custom_keys: Mapping[str, Any], schedules: Any = None) -> None:
    """Refuse rates that would change nothing.

    Args:
        model: the algorithm, also wrapped for several processes.
        custom_keys: ``paramwise_cfg.custom_keys``: a part of a parameter's name -> its rates.
        schedules: ``param_scheduler``, a config or a list of them.

    Raises:
        ConfigError: a key is part of no parameter's name, with the nearest modules; or rates are ``held``, and no
            schedule is a :class:`~skeattn.engine.schedules.WarmupCosineLR`.
    """
    names = [name for name, _ in model.named_parameters()]
    modules = {part for name in names for part in name.split('.') if not part.isdigit()}
    for key in custom_keys:
        if not any(key in name for name in names):
            raise ConfigError(
                f'optim_wrapper.paramwise_cfg.custom_keys: no parameter of the model has {key!r} in its name, so its '
                f'rates would change nothing; {did_you_mean(key, modules)}'
            )
    held = [key for key, rates in custom_keys.items() if rates.get('held')]
    types = [schedule['type'] for schedule in ([schedules] if isinstance(schedules, Mapping) else schedules or ())]
    classes = [PARAM_SCHEDULERS.get(name) if isinstance(name, str) else name for name in types]
    if held and not any(issubclass(each, WarmupCosineLR) for each in classes if each):
        raise ConfigError(
            f'optim_wrapper.paramwise_cfg.custom_keys.{held[0]}.held: only a WarmupCosineLR holds parameters, but '
            f'param_scheduler is {", ".join(map(str, types)) or "empty"}; choose WarmupCosineLR, or take held away'
        )


def clip_each(parameters: Iterable[Tensor], max_norm: float, norm_type: float = 2.0) -> None:
    """Multiply each parameter's gradient by ``min(1, max_norm / (norm + 1e-6))``."""
    for parameter in parameters:
        clip_grad_norm_(parameter, max_norm, norm_type)


@CONSTRUCTORS.register_module()
class LayerDecayConstructor(DefaultOptimWrapperConstructor):  # type: ignore[misc]
    """Rates that fall from the head to the embeddings, by ``paramwise_cfg.layer_decay`` (BEiT, MAE, MAMP, STARS).

    A parameter of layer l of a backbone with top layer L has ``lr * layer_decay ** (L - l)``; the last norm and
    everything outside the backbone have ``lr``. The backbone assigns its parameters to layers with ``layer_of(name)``.
    Further keys of ``paramwise_cfg`` are mmengine's; ``flat_decay_mult=0`` spares one-dimensional parameters the weight
    decay. Parameters that a method has frozen are left out. Equal settings share a group; the group of ``lr`` is first.

    Raises:
        ConfigError: no backbone of the model has ``layer_of``, or the optimiser's ``lr`` is missing.
    """

    def add_params(
        self, params: list[dict[str, Any]], module: nn.Module, prefix: str = '', is_dcn_module: Any = None
    ) -> None:
        """Extend ``params`` by the groups of a module; mmengine calls it for the model, then for its parts."""
        super().add_params(params, module, prefix, is_dcn_module)
        if not prefix:
            self._scale(params, module)
            params[:] = merged(params)

    def _scale(self, params: list[dict[str, Any]], model: nn.Module) -> None:
        decay = self.paramwise_cfg.get('layer_decay', 1.0)
        below = depths(model)
        if decay != 1 and not below:
            raise ConfigError(
                f'optim_wrapper.paramwise_cfg.layer_decay={decay}: no backbone of {type(model).__name__} defines '
                f'layer_of(name), the layer of a parameter; SkeletonTransformer does. Remove layer_decay'
            )
        if self.base_lr is None:
            raise ConfigError('optim_wrapper.optimizer.lr is missing, which layer_decay scales; set it')
        for group in params:
            steps = below.get(group['params'][0], 0)
            group['lr'] = group.get('lr', self.base_lr) * decay**steps


def merged(groups: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Parameter groups of equal settings as one, those of the highest rate first."""
    joined: dict[Any, dict[str, Any]] = {}
    for group in groups:
        settings = tuple(sorted((key, value) for key, value in group.items() if key != 'params'))
        joined.setdefault(settings, {**group, 'params': []})['params'] += group['params']
    return sorted(joined.values(), key=lambda group: -group['lr'])
