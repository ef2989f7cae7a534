"""The toolbox's registries: scope ``skeattn``, with a child scope each for backbones, necks, heads and losses.

A registry that mmengine has as well is a child of mmengine's, so mmengine's own components, such as
``dict(type='IterTimerHook')``, work in a skeattn config. An unknown name raises a
:class:`~skeattn.errors.ConfigError` that lists the nearest matches.
"""

import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from mmengine import registry as mmengine
from mmengine.config import Config, ConfigDict

from skeattn.errors import ConfigError, did_you_mean
from skeattn.signatures import arguments_of


class Registry(mmengine.Registry):
    """An mmengine registry that also searches its children and, for an unknown name, lists the nearest matches."""

    @contextmanager
    def switch_scope_and_registry(self, scope: str | None) -> Generator[Any, None, None]:
        """Without a scope, stay in this registry whatever default scope a Runner has set."""
        if scope is None:
            yield self
        else:
            with super().switch_scope_and_registry(scope) as registry:
                yield registry

    @property
    def module_dict(self) -> dict[str, Any]:
        """Name -> class or function of everything registered here, the toolbox's own components included."""
        self.import_from_location()
        return super().module_dict

    def get(self, key: str) -> Any:
        """The class or function registered as ``key`` here, in a parent or in a child; None if there is none."""
        component = super().get(key)
        if component is None:
            for child in self.children.values():
                component = child.module_dict.get(key) or component
        return component

    def build(self, cfg: Any, *args: Any, **kwargs: Any) -> Any:
        """Build the component named by ``cfg['type']``.

        Raises:
            ConfigError: ``type`` is missing or not registered here, in a parent or in a child; or the component does
                not accept the arguments. The message lists the nearest names.
        """
        if not isinstance(cfg, (dict, Config, ConfigDict)) or 'type' not in cfg:
            raise ConfigError(f'{self.name}: a component needs a dict with the key "type", not {cfg!r}')
        name = cfg['type']
        with self.switch_scope_and_registry(cfg.get('_scope_')) as registry:
            if isinstance(name, str) and registry.get(name) is None:
                raise ConfigError(self._unknown(name))
        try:
            return super().build(cfg, *args, **kwargs)
        except TypeError as error:
            message = self._wrong_arguments(cfg, str(error))
            if message is None:  # a defect of the component: its author needs the traceback
                raise
            raise ConfigError(message) from error

    def names(self) -> list[str]:
        """Every name that can be built here: this registry's, its children's and its parents'."""
        registries: list[Any] = [self, *self.children.values()]
        parent = self.parent
        while parent is not None:
            registries.append(parent)
            parent = parent.parent
        return sorted({name for registry in registries for name in registry.module_dict})

    def _wrong_arguments(self, cfg: Any, error: str) -> str | None:
        """The message for a failed call; None if the config's arguments were not the cause."""
        name = cfg['type']
        component = self.get(name) if isinstance(name, str) else name
        bases = [base for base in getattr(component, '__mro__', [component]) if base is not object]
        called = re.search(r'(\w+)(\.__init__)?\(\) (got an unexpected|missing)', error)
        key = re.search(r"unexpected keyword argument '(\w+)'", error)
        is_component = called is not None and called.group(1) in [base.__name__ for base in bases]
        if not is_component and (key is None or key.group(1) not in cfg):
            return None
        if key is None:
            return f'dict(type={name!r}, ...): {error}; check the keys'
        arguments = {argument for base in bases for argument in arguments_of(base)[0]}
        return f'dict(type={name!r}, ...) takes no {key.group(1)!r}; {did_you_mean(key.group(1), arguments)}'

    def _unknown(self, name: str) -> str:
        hint = did_you_mean(name.split('.')[-1], self.names())
        return (
            f'type={name!r} is not in the registry {self.name!r}; {hint} '
            f'(import a custom component first: custom_imports=dict(imports=["your.module"]))'
        )


def _registry(name: str, parent: Any = None, scope: str = 'skeattn', module: str = '', more: str = '') -> Registry:
    locations = [f'skeattn.{place}' for place in (module, more) if place]
    return Registry(name, parent=parent, scope=scope, locations=locations)


DATASETS = _registry('dataset', mmengine.DATASETS, module='datasets.multi_layout')
DATA_SAMPLERS = _registry('data sampler', mmengine.DATA_SAMPLERS, module='datasets.sampler')
TRANSFORMS = _registry('transform', mmengine.TRANSFORMS, module='datasets.transforms')
AUGMENTS = _registry('augment', module='augment')

MODELS = _registry('model', mmengine.MODELS, module='models')
BACKBONES = _registry('backbone', MODELS, scope='backbones', module='models')
NECKS = _registry('neck', MODELS, scope='necks', module='models')
HEADS = _registry('head', MODELS, scope='heads', module='models')
LOSSES = _registry('loss', MODELS, scope='losses', module='models')

HOOKS = _registry('hook', mmengine.HOOKS, module='engine')
LOOPS = _registry('loop', mmengine.LOOPS, module='engine')
RUNNERS = _registry('runner', mmengine.RUNNERS, module='engine')
EVALUATORS = _registry('evaluator', module='evaluation', more='protocols')
