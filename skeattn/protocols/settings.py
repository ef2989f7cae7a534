"""Protocols by name: settings in a file, and the changes of a config.

A protocol is a config file whose top-level keys are its settings: ``type``, an entry of ``EVALUATORS``, its arguments,
and ``source``, the features that it reads where it does not read those that the config names.
"""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from skeattn.errors import ConfigError, did_you_mean
from skeattn.evaluation.evaluator import Evaluator, as_evaluator
from skeattn.protocols.target import TrainingProtocol
from skeattn.registry import EVALUATORS

FOLDER = Path(__file__).resolve().parent / 'builtin'


def protocol_names() -> list[str]:
    """The protocols that come with the toolbox."""
    return sorted(path.stem for path in FOLDER.glob('*.py'))


def protocol_name(protocol: str) -> str:
    """What a protocol is called: itself, or the stem of a path."""
    return Path(protocol).stem if protocol.endswith('.py') else protocol


def configured(cfg: Config) -> dict[str, dict[str, Any]]:
    """The evaluators that a config names for its training, without those that it removed."""
    evaluators = (cfg.get('evaluation') or {}).get('evaluators') or {}
    return {name: Config(dict(settings=item)).to_dict()['settings'] for name, item in evaluators.items() if item}


def read_protocol(protocol: str, cfg: Config) -> dict[str, Any]:
    """The settings of a protocol for a config.

    They are, the later the stronger: those of the file, ``evaluation.evaluators.NAME`` and ``protocols.NAME`` of the
    config. Where one of these names another ``type``, what stood before is another protocol's and is dropped.

    Args:
        protocol: a name (see :func:`protocol_names`), a path of a file, or an evaluator of the config.
        cfg: the config of the network, resolved or not.

    Returns:
        ``type``, its arguments and perhaps ``source``.

    Raises:
        ConfigError: no such protocol, a ``protocols.NAME`` of no protocol, an unknown ``type``, or a setting that it
            does not take.
    """
    name, file = protocol_name(protocol), _file(protocol)
    changes = {key: dict(item or {}) for key, item in Config(dict(cfg.get('protocols') or {})).to_dict().items()}
    known = {*protocol_names(), *configured(cfg), name}
    for key, item in changes.items():
        if key not in known and 'type' not in item:
            raise ConfigError(f'protocols.{key}: there is no such protocol; {did_you_mean(key, sorted(known))}')
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
        others = ', '.join(sorted(known - {name}))
        raise ConfigError(f'there is no protocol {protocol!r}; known: {others}, or the path of a file')
    _check(name, file, settings, origin)
    return settings


def arguments(settings: Mapping[str, Any]) -> set[str] | None:
    """The arguments that the ``type`` of settings takes; None where it takes any."""
    parameters = inspect.signature(EVALUATORS.get(settings['type'])).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return None
    return set(parameters)


def build_protocol(settings: Mapping[str, Any], **defaults: Any) -> Evaluator | TrainingProtocol:
    """The evaluator or training protocol of settings; of the ``defaults`` it receives those that it takes."""
    takes = arguments(settings) or set()
    own = {key: value for key, value in settings.items() if key != 'source'}
    component = EVALUATORS.build({**{key: value for key, value in defaults.items() if key in takes}, **own})
    return component if isinstance(component, TrainingProtocol) else as_evaluator(component)


def _file(protocol: str) -> Path | None:
    if not protocol.endswith('.py'):
        path = FOLDER / f'{protocol}.py'
        return path if path.is_file() else None
    if not Path(protocol).is_file():
        raise ConfigError(f'no protocol file {protocol}; by name there are {", ".join(protocol_names())}')
    return Path(protocol)


def _read(file: Path) -> dict[str, Any]:
    try:
        return Config.fromfile(file).to_dict()
    except (OSError, SyntaxError, KeyError, NameError, ImportError) as error:
        raise ConfigError(f'protocol file {file} cannot be read: {error}') from error


def _check(name: str, file: Path | None, settings: Mapping[str, Any], origin: Mapping[str, str]) -> None:
    kind = settings['type']
    if not isinstance(kind, str) or EVALUATORS.get(kind) is None:
        raise ConfigError(
            f'{origin["type"]}: type={kind!r} is no evaluator; {did_you_mean(str(kind), EVALUATORS.names())}'
        )
    takes = arguments(settings)
    for key in settings.keys() - {'type', 'source'}:
        if takes is not None and key not in takes:
            hint = did_you_mean(key, sorted(takes | {'source'}))
            where = f', {file}' if file else ''
            raise ConfigError(f'{origin[key]}: {kind} takes no {key!r} (protocol {name!r}{where}); {hint}')
