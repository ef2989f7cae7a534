"""The toolbox's registries, all in scope ``skeattn``.

Where mmengine has a registry of the same kind ours is its child, so ``dict(type='SGD')`` and every other mmengine
component keep working inside a skeattn config. An unknown name ends in a :class:`~skeattn.errors.ConfigError` that
lists the nearest matches.
"""

import inspect
import re
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from mmengine import registry as mmengine
from mmengine.config import Config, ConfigDict

from skeattn.errors import ConfigError, did_you_mean


class Registry(mmengine.Registry):
    """An mmengine registry that also finds what its children hold, and whose failure names the nearest matches."""

    @contextmanager
    def switch_scope_and_registry(self, scope: str | None) -> Generator[Any, None, None]:
        """Without a scope stay here, whatever a Runner has made the default: parents and children are searched."""
        if scope is None:
            yield self
        else:
            with super().switch_scope_and_registry(scope) as registry:
                yield registry

    def get(self, key: str) -> Any:
        """The class or function registered as ``key`` here, in a parent or in a child; None where there is none."""
        found = super().get(key)
        if found is None:
            for child in self.children.values():
                found = child.module_dict.get(key) or found
        return found

    def build(self, cfg: Any, *args: Any, **kwargs: Any) -> Any:
        """Build the component named by ``cfg['type']``.

        Raises:
            ConfigError: ``type`` is missing or registered neither here nor in a parent or child, or the component
                does not take the arguments given; names the nearest that it takes.
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
            wrong = self._wrong_arguments(cfg, str(error))
            if wrong is None:  # a defect of the component, whose traceback its author needs
                raise
            raise ConfigError(wrong) from error

    def names(self) -> list[str]:
        """Every name that can be built here: own, children's and parents'."""
        registries: list[Any] = [self, *self.children.values()]
        parent = self.parent
        while parent is not None:
            registries.append(parent)
            parent = parent.parent
        return sorted({name for registry in registries for name in registry.module_dict})

    def _wrong_arguments(self, cfg: Any, error: str) -> str | None:
        """What to say of a call that failed; None where it was not the config's arguments that failed."""
        name = cfg['type']
        component = self.get(name) if isinstance(name, str) else name
        bases = [base for base in getattr(component, '__mro__', [component]) if base is not object]
        called = re.search(r'(\w+)(\.__init__)?\(\) (got an unexpected|missing)', error)
        key = re.search(r"unexpected keyword argument '(\w+)'", error)
        ours = called is not None and called.group(1) in [base.__name__ for base in bases]
        if not ours and (key is None or key.group(1) not in cfg):
            return None
        if key is None:
            return f'dict(type={name!r}, ...): {error}; check the keys'
        known = {argument for base in bases for argument in arguments_of(base)[0]}
        return f'dict(type={name!r}, ...) takes no {key.group(1)!r}; {did_you_mean(key.group(1), known)}'

    def _unknown(self, name: str) -> str:
        hint = did_you_mean(name.split('.')[-1], self.names())
        return (
            f'type={name!r} is not in the registry {self.name!r}; {hint} '
            f'(a component of your own must be imported first: custom_imports=dict(imports=["your.module"]))'
        )


def arguments_of(component: Any) -> tuple[set[str], bool]:
    """Names that a class or function can be called with, and whether it takes any others (``**kwargs``) as well."""
    parameters = inspect.signature(component).parameters.values()
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    named = {parameter.name for parameter in parameters if parameter.kind in kinds}
    return named, any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)


def _registry(name: str, parent: Any = None, scope: str = 'skeattn', module: str = '', more: str = '') -> Registry:
    locations = [f'skeattn.{place}' for place in (module, more) if place]
    return Registry(name, parent=parent, scope=scope, locations=locations)


DATASETS = _registry('dataset', mmengine.DATASETS, module='datasets')
DATA_SAMPLERS = _registry('data sampler', mmengine.DATA_SAMPLERS, module='datasets')
TRANSFORMS = _registry('transform', mmengine.TRANSFORMS, module='datasets')
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
