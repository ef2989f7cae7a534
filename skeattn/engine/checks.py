"""Typos and wrong values in configs, reported with the file, the place and what was meant, before anything is built.

Files and overrides are merged first and looked at together, so what is refused on the command line is refused in a
file. Not checked are the names of steps, views, hooks, evaluators and protocols, those of parameters in
``paramwise_cfg.custom_keys``, ``env_cfg.dist_cfg``, ``compile``, what the toolbox writes itself (loaders and evaluators
of validation and test), and the arguments of a class that takes any, because it does more with its ``**kwargs`` than
hand them on.
"""

import functools
import inspect
import numbers
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import mmcv.cnn  # noqa: F401  registers the layers that norm_cfg and act_cfg name
from mmengine.config import Config

from skeattn.choices import PROTOCOL_FILES
from skeattn.cli import parse_list
from skeattn.datasets.transforms.pipeline import refuse_after_packing
from skeattn.engine.origin import Origin
from skeattn.engine.places import (
    ANNOTATIONS,
    COMPONENTS,
    CONSTRUCTORS,
    GIVEN,
    MMENGINE_HOOKS,
    NAMED,
    OPERATION,
    OPTIM_WRAPPERS,
    PROTOCOL,
    REQUIRED,
    SETTINGS,
    SETTINGS_OF_EACH,
    STEPS,
    TOP_LEVEL,
    VIEW_SETTINGS,
    VIEWS,
    Kind,
    looked_up,
    lookup,
)
from skeattn.engine.values import Range, complaint, describe, range_of, shown, takes_list
from skeattn.errors import ConfigError, did_you_mean
from skeattn.registry import DATASETS, MODELS, TRANSFORMS, Registry
from skeattn.signatures import arguments_of, types_of
from skeattn.steps import in_order

PLAIN = (str, numbers.Number, list, tuple)


def check_config(cfg: Config, origin: Origin | None = None) -> dict[str, list[Any]]:
    """Refuse every key that is never read, every component that does not exist, and every wrong value.

    Args:
        cfg: the config, overrides merged, resolved or not.
        origin: where its keys were written.

    Returns:
        The overrides such as ``a,b`` that mean a list, by place: those whose type is one.

    Raises:
        ConfigError: an unknown key at the top, an unknown ``type``, an argument that it does not take, a base whose
            settings were not laid over the others, a step that goes nowhere, a transform after the clip is packed, or
            a value of a wrong type or outside its range. The message gives the file and line, and the nearest known
            name or the allowed values.
    """
    check = _Check(origin or Origin())
    for key, value in cfg.items():
        check.top_level(key, value, cfg)
    for key, value in cfg.items():
        check.value(key, key, value, TOP)
    for name, changes in (cfg.get('protocols') or {}).items():
        check.typed(f'protocols.{name}', changes, Mapping | None, None)
        settings = _protocol(cfg, name)
        if 'type' in settings:
            check.component(f'protocols.{name}', settings, PROTOCOL, TOP)
    return check.lists


class _Owner(NamedTuple):
    """The owner of a key.

    Args:
        kind: the registry of a component, the name of settings, or an empty name at the top.
        component: the class that receives the key as an argument; None where there is none.
        known: whether it is known what receives the key.
    """

    kind: Registry | str
    component: Any = None
    known: bool = True

    def gives_meaning(self, argument: str) -> bool:
        """Whether the toolbox or mmengine defines what a key means, and no custom class."""
        modules = ('skeattn.', 'mmengine.', 'torch.')
        return self.known and (self.component is None or _module_of(self.component, argument).startswith(modules))


TOP = _Owner('')


class _Check:
    """A check of a config, key by key."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.lists: dict[str, list[Any]] = {}

    def refuse(self, place: str, what: str) -> NoReturn:
        """Raise the error of the key at a place."""
        raise ConfigError(f'{self.origin(place)}{what}')

    def top_level(self, key: str, value: Any, cfg: Mapping[str, Any]) -> None:
        """Check that a key at the top of a config is known, or a variable of the file."""
        if key in TOP_LEVEL:
            self.typed(key, value, TOP_LEVEL[key], range_of(key))
            if value is None and key in ('model', 'dataset'):
                self.refuse(key, f'{key}=None must be a dict with a type')
        if key in TOP_LEVEL or key.startswith('_') or callable(value):
            return
        within = [
            f'{part}.{key}' for part, settings in cfg.items() if isinstance(settings, Mapping) and key in settings
        ]
        hint = f'did you mean {" or ".join(map(repr, within))}?' if within else did_you_mean(key, TOP_LEVEL)
        stated = self.origin.stated(key)
        listed_in = stated.listed_in if stated and isinstance(value, Mapping) and value else None
        if listed_in and value.keys() <= {*TOP_LEVEL}:
            what = f'{key!r} was not merged over the other bases of {listed_in} and has no effect'
            self.refuse(key, f'{what}; add this line there, below _base_: _base_.merge(_base_.pop({key!r}))')
        if listed_in and stated and Path(stated.file).stem.startswith(key):
            hint = f'{listed_in} takes it into a part of the config by _base_.pop({key!r})'
        elif self.origin.option(key) is None:
            hint += f'; a helper variable starts with an underscore: _{key}'
        self.refuse(key, f'the config has no {key!r}; {hint}')

    def typed(self, place: str, value: Any, kind: Any, limits: Range | None) -> None:
        """Check the type and range of a value."""
        if isinstance(value, str) and ',' in value and place in self.origin.options and takes_list(kind):
            value = self.lists[place] = parse_list(value)
        if expected := complaint(value, kind, limits):
            self.refuse(place, f'{place}={shown(value)} must be {expected}')

    def value(self, place: str, name: str, value: Any, owner: _Owner) -> None:
        """Check the value of a key, by the key's name and its owner."""
        if (owner.kind, name) in SETTINGS_OF_EACH and isinstance(value, Mapping):
            for key, item in value.items():
                self.settings(f'{place}.{key}', key, item, SETTINGS_OF_EACH[owner.kind, name])
        elif (owner.kind, name) in SETTINGS and owner.gives_meaning(name):
            self.settings(place, name, value, SETTINGS[owner.kind, name])
        elif name == 'views' and isinstance(value, Mapping) and owner.gives_meaning(name):
            for view in value:
                self.view(f'{place}.{view}', view, value)
        elif name in NAMED and isinstance(value, Mapping) and (owner.gives_meaning(name) or owner.kind is DATASETS):
            self.steps(place, value, NAMED[name])
        elif name in COMPONENTS:
            self.component(place, value, COMPONENTS[name], owner)
        elif isinstance(owner.kind, Registry):
            self.nested(place, value, owner.kind)

    def nested(self, place: str, value: Any, registry: Registry) -> None:
        """Check an argument whose name has no defined meaning: it may hold components of the same kind."""
        if isinstance(value, Mapping) and 'type' in value:
            if looked_up(value['type'], registry) is not None:
                self.component(place, value, Kind(registry), TOP)
        elif isinstance(value, Mapping):
            for key, item in value.items():
                self.value(f'{place}.{key}', key, item, _Owner(registry, known=False))
        elif isinstance(value, list | tuple):
            for i, item in enumerate(value):
                self.nested(f'{place}[{i}]', item, registry)

    def settings(self, place: str, name: str, settings: Any, types: Mapping[str, Any]) -> None:
        """Check a dict whose keys and types are known."""
        if isinstance(settings, PLAIN):
            self.refuse(place, f'{place}={shown(settings)} must be a dict; its keys are {", ".join(types)}')
        for key, value in (settings or {}).items():
            if key not in types:
                self.refuse(f'{place}.{key}', f'{place} has no {key!r}; {did_you_mean(key, types)}')
            self.typed(f'{place}.{key}', value, types[key], range_of(key))
            self.value(f'{place}.{key}', key, value, _Owner(name))
        missing = [key for key in REQUIRED.get(name, ()) if settings is not None and key not in settings]
        if missing:
            self.refuse(place, f'{place} lacks {missing[0]!r}, which must be {describe(types[missing[0]])}')

    def steps(self, place: str, steps: Mapping[str, Any], kind: Kind) -> None:
        """Check named components of one kind; those of a pipeline also in their order."""
        for name, step in steps.items():
            self.step(f'{place}.{name}', step, kind, [*steps])
        if kind.registry is TRANSFORMS:
            order = self.located(in_order, steps, place)
            kinds = {name: looked_up(steps[name]['type'], TRANSFORMS) for name in order if steps[name]}
            self.located(refuse_after_packing, kinds, place)

    def step(self, place: str, step: Any, kind: Kind, names: Sequence[str]) -> None:
        """Check a named component: a dict with a type, which a base may define under the same name."""
        if isinstance(step, PLAIN) or (isinstance(step, Mapping) and 'type' not in step):
            name = place.rpartition('.')[2]
            others = [other for other in names if other != name]
            hint = f'; {did_you_mean(name, others)}' if others else ''
            self.refuse(place, f'{place}: no base has {name!r}, and a new one needs a type{_beside(step)}{hint}')
        self.component(place, step, kind, TOP)

    def view(self, place: str, name: str, views: Mapping[str, Any]) -> None:
        """Check the operations of a training view."""
        self.typed(place, views[name], Mapping | None, None)
        if views[name] is None:
            return
        for key in VIEW_SETTINGS:
            self.typed(f'{place}.{key}', views[name].get(key), str | None, None)
        operations = {op: item for op, item in views[name].items() if op not in VIEW_SETTINGS}
        for op, operation in operations.items():
            others = [view for view in views if view != name and op in lookup(views, view)]
            if isinstance(operation, Mapping) and 'type' not in operation and others:
                self.refuse(
                    place,
                    f'{place}: no base has an operation {op!r} in {name!r}, and a new one needs a '
                    f'type{_beside(operation)}; {did_you_mean(name, others)}',
                )
            self.step(f'{place}.{op}', operation, OPERATION, [*views[name], *VIEW_SETTINGS])
        self.located(in_order, {key: {} for key in _liked(views, name)} | operations, place)

    def located(self, check: Callable[..., Any], steps: Mapping[str, Any], place: str) -> Any:
        """The result of a check of the order of steps; its error begins with the place, and here with the file."""
        try:
            return check(steps, place)
        except ConfigError as error:
            self.refuse(str(error).split(maxsplit=1)[0].rstrip(':'), str(error))

    def component(self, place: str, component: Any, kind: Kind, owner: _Owner) -> None:
        """Check a component or a list of them: its type exists, accepts its arguments, and these are valid."""
        known = owner.gives_meaning(place.rpartition('.')[2])
        several = isinstance(component, list | tuple)
        for i, item in enumerate(component) if several else ():
            if known and isinstance(item, PLAIN):
                self.refuse(f'{place}[{i}]', f'{place}[{i}]={shown(item)} must be a dict with a type')
            self.component(f'{place}[{i}]', item, replace(kind, several=True), owner)
        if known and (isinstance(component, str | numbers.Number) or (several and not kind.several)):
            self.refuse(place, f'{place}={shown(component)} must be a dict with a type')
        if not isinstance(component, Mapping):
            return
        default = kind.default if known and (component or kind.registry is not OPTIM_WRAPPERS) else None
        name: Any = component.get('type', default)
        if name is None:
            if known and not component:
                self.refuse(place, f'{place}={{}} must be a dict with a type')
            if known and not all(isinstance(item, Mapping | list) for item in component.values()):
                self.refuse(place, f'{place} has no type; its keys are {", ".join(map(repr, component))}')
            self.nested(place, component, kind.registry)  # several by name, as mmengine allows of schedulers
            return
        target = looked_up(name, kind.registry)
        if target is None and not known and owner.kind is not MODELS:
            return
        if target is None:
            near = did_you_mean(str(name), kind.registry.names())
            what = f'{place}: type={name!r} is not in the registry {kind.registry.name!r}; {near}'
            self.refuse(f'{place}.type', what)
        custom = 'constructor' in kind.also and self.custom_constructor(place, component.get('constructor'))
        if not custom:
            self.arguments(place, component, getattr(name, '__name__', name), target, kind)
        for key in sorted(component.keys() - ({'type', 'paramwise_cfg'} if custom else {'type'})):
            self.value(f'{place}.{key}', key, component[key], _Owner(kind.registry, target))

    def custom_constructor(self, place: str, constructor: Any) -> bool:
        """Whether an optimiser wrapper is built by a custom class, which may read any keys; refuse an unknown one."""
        target = looked_up(constructor, CONSTRUCTORS)
        if constructor is not None and target is None:
            near = did_you_mean(str(constructor), CONSTRUCTORS.names())
            self.refuse(f'{place}.constructor', f'{place}.constructor={constructor!r} is not registered; {near}')
        return target is not None and not target.__module__.startswith(('skeattn.', 'mmengine.'))

    def arguments(self, place: str, component: Mapping[str, Any], name: str, target: Any, kind: Kind) -> None:
        """Check that a component accepts all its arguments."""
        known, any_other = arguments_of(target)
        known |= {'type', '_scope_', *kind.also}
        for key in [] if any_other else sorted(component.keys() - known):
            hint = did_you_mean(key, known - {'_scope_'})
            if place == 'model.backbone' or hint.startswith('known'):  # most often an argument of the base's component
                hint += f'; to drop the settings of a base, write _delete_=True into {place}'
            for top, places in GIVEN.items():
                if f'{place}.{key}' in places:
                    hint = f'it comes from {top!r} at the top of the config: let it take {key!r}'
            self.refuse(f'{place}.{key}', f'{place}: {name} takes no {key!r}; {hint}')
        types, owner = types_of(target), _Owner(kind.registry, target)
        for key in sorted(component.keys() & types.keys()):
            ours = owner.gives_meaning(key)
            if ours and key in COMPONENTS and isinstance(component[key], str | numbers.Number):
                continue  # refused as a component
            limits = range_of(key, name) if ours else None
            self.typed(f'{place}.{key}', component[key], _type_of(target, key, types[key]), limits)


def check_removals(cfg: Config, bases: Sequence[Config], origin: Origin) -> None:
    """Refuse a step that is set to None but does not exist: ``pipeline=dict(aling=None)`` would merge silently.

    Args:
        cfg: the config, merged.
        bases: the configs below it, without the last layer.
        origin: where its keys were written.

    Raises:
        ConfigError: such a step, with the nearest ones.
    """
    # Some bases hold settings under a separate name, which a config merges over the others: pipelines/clean.py.
    overlays = [part for base in bases for part in base.values() if isinstance(part, Mapping)]
    views = lookup(cfg, VIEWS)
    for place in (*STEPS, *(f'{VIEWS}.{view}' for view in views)):
        steps, inherited = lookup(cfg, place), {name for base in bases for name in lookup(base, place)}
        if inherited - steps.keys():  # replaced
            continue
        names = {*inherited, *(name for part in overlays for name in lookup(part, place))}
        if place.startswith(VIEWS):
            names |= _liked(views, place.rpartition('.')[2])
        if not names:  # nothing to remove
            continue
        if place == 'default_hooks':
            names |= {*MMENGINE_HOOKS}
        for name in [name for name, step in steps.items() if step is None and name not in names]:
            where = f'{place}.{name}'
            raise ConfigError(f'{origin(where)}{place} has no {name!r} to remove; {did_you_mean(name, names)}')


def _beside(step: Any) -> str:
    """The keys of a component without a type, as part of a message."""
    return f' beside {", ".join(map(repr, step))}' if isinstance(step, Mapping) and step else ''


def _liked(views: Mapping[str, Any], view: str) -> set[str]:
    """The operations that a training view inherits by ``like``."""
    seen = [view]
    while seen[-1] not in seen[:-1] and (like := lookup(views, seen[-1]).get('like')):
        seen.append(like)
    return {name for other in seen[1:] for name in lookup(views, other)} - {*VIEW_SETTINGS}


def _type_of(component: Any, argument: str, annotation: Any) -> Any:
    of_mmengine = str(component.__module__).startswith('mmengine.')
    return ANNOTATIONS.get(argument, annotation) if of_mmengine else annotation


@functools.cache
def _module_of(component: Any, argument: str) -> str:
    """The module of the class, or of its base, whose ``__init__`` names the argument; else its own."""
    for base in getattr(component, '__mro__', ()):
        if '__init__' in vars(base) and argument in inspect.signature(vars(base)['__init__']).parameters:
            return str(base.__module__)
    return str(component.__module__)


def _protocol(cfg: Config, name: str) -> Mapping[str, Any]:
    """The settings of a protocol, as far as the toolbox and the config know them."""
    settings: Any = {}
    for layer in (_protocol_file(name), lookup(cfg, f'evaluation.evaluators.{name}'), lookup(cfg, f'protocols.{name}')):
        if layer.get('type', settings.get('type')) != settings.get('type'):
            settings = {}
        settings = Config._merge_a_into_b(Config(dict(layer)).to_dict(), settings)
    return settings  # type: ignore[no-any-return]


@functools.cache
def _protocol_file(name: str) -> Mapping[str, Any]:
    file = PROTOCOL_FILES / f'{name}.py'
    return Config.fromfile(file).to_dict() if file.is_file() else {}
