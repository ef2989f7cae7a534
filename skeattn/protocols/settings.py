"""Settings of protocols, from a file and from the changes of a config.

A protocol is a config file whose top-level keys are its settings: ``type``, an entry of ``EVALUATORS``; the arguments
of the type; and optionally ``source`` and ``readout``, the features to evaluate instead of those of the config.
"""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from skeattn.choices import PROTOCOL_FILES, protocol_names
from skeattn.errors import ConfigError, did_you_mean
from skeattn.evaluation.evaluator import Evaluator, as_evaluator
from skeattn.protocols.target import TrainingProtocol
from skeattn.registry import EVALUATORS

FEATURES = ('source', 'readout')
"""Settings that choose the features; they are no arguments of the type."""


def protocol_name(protocol: str) -> str:
    """Name of a protocol: the name itself, or the stem of a path."""
    return Path(protocol).stem if protocol.endswith('.py') else protocol


def configured(cfg: Config) -> dict[str, dict[str, Any]]:
    """The evaluators of a config's training, without removed ones."""
    evaluators = (cfg.get('evaluation') or {}).get('evaluators') or {}
    return {name: Config(dict(settings=item)).to_dict()['settings'] for name, item in evaluators.items() if item}


def read_protocol(protocol: str, cfg: Config) -> dict[str, Any]:
    """The settings of a protocol for a config.

    They are merged from the file, ``evaluation.evaluators.NAME`` and ``protocols.NAME`` of the config; later ones
    override earlier ones. A layer with a different ``type`` replaces the earlier settings completely.

    Args:
        protocol: a name (see :func:`protocol_names`), a path of a file, or an evaluator of the config.
        cfg: the config of the network, resolved or not.

    Returns:
        ``type``, its arguments and optionally ``source`` and ``readout``.

    Raises:
        ConfigError: the protocol, the NAME of a ``protocols.NAME``, the ``type`` or a setting is unknown.
    """
    name, file = protocol_name(protocol), _file(protocol)
    changes = {key: dict(item or {}) for key, item in Config(dict(cfg.get('protocols') or {})).to_dict().items()}
    names = {*protocol_names(), *configured(cfg), name}
    for key, item in changes.items():
        if key not in names and 'type' not in item:
            raise ConfigError(f'protocols.{key}: unknown protocol; {did_you_mean(key, sorted(names))}')
    layers = [
        (str(file), _read(file) if file else {}),
        (f'evaluation.evaluators.{name}', configured(cfg).get(name, {})),
        (f'protocols.{name}', changes.get(name, {})),
    ]
    settings: dict[str, Any] = {}
    origin: dict[str, str] = {}
    for place, layer in layers:
        if layer.get('type', settings.get('type')) != settings.get('type'):
            settings, origin = {}, {}
        settings = Config._merge_a_into_b(layer, settings)  # dicts key by key, as configs do
        origin |= dict.fromkeys(layer, place)
    if 'type' not in settings:
        others = ', '.join(sorted(names - {name}))
        raise ConfigError(f'unknown protocol {protocol!r}; choose from {others}, or give the path of a file')
    _check(name, file, settings, origin)
    return settings


def arguments(settings: Mapping[str, Any]) -> set[str] | None:
    """The arguments that the ``type`` of settings accepts; None if it accepts any."""
    parameters = inspect.signature(EVALUATORS.get(settings['type'])).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return None
    return set(parameters)


def build_protocol(settings: Mapping[str, Any], **defaults: Any) -> Evaluator | TrainingProtocol:
    """The evaluator or training protocol of settings; it receives those ``defaults`` that it accepts."""
    accepted = arguments(settings) or set()
    own = {key: value for key, value in settings.items() if key not in FEATURES}
    component = EVALUATORS.build({**{key: value for key, value in defaults.items() if key in accepted}, **own})
    return component if isinstance(component, TrainingProtocol) else as_evaluator(component)


def _file(protocol: str) -> Path | None:
    if not protocol.endswith('.py'):
        path = PROTOCOL_FILES / f'{protocol}.py'
        return path if path.is_file() else None
    if not Path(protocol).is_file():
        raise ConfigError(f'no protocol file {protocol}; give a file or one of {", ".join(protocol_names())}')
    return Path(protocol)


def _read(file: Path) -> dict[str, Any]:
    try:
        return Config.fromfile(file).to_dict()
    except (OSError, SyntaxError, KeyError, NameError, ImportError) as error:
        raise ConfigError(f'protocol file {file} is not readable: {error}; correct the file') from error


def _check(name: str, file: Path | None, settings: Mapping[str, Any], origin: Mapping[str, str]) -> None:
    kind = settings['type']
    if not isinstance(kind, str) or EVALUATORS.get(kind) is None:
        raise ConfigError(
            f'{origin["type"]}: type={kind!r} is no evaluator; {did_you_mean(str(kind), EVALUATORS.names())}'
        )
    accepted = arguments(settings)
    for key in settings.keys() - {'type', *FEATURES}:
        if accepted is not None and key not in accepted:
            hint = did_you_mean(key, sorted(accepted | {*FEATURES}))
            where = f', {file}' if file else ''
            raise ConfigError(f'{origin[key]}: {kind} takes no {key!r} (protocol {name!r}{where}); {hint}')
