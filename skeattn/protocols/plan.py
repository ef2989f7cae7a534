"""Assignment of protocols to sources of features."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.config import Config

from skeattn.errors import ConfigError, DataError
from skeattn.evaluation.evaluator import Evaluator
from skeattn.evaluation.topk import TopK
from skeattn.models.readout import LOGITS, MEAN, split_source, with_readout
from skeattn.protocols.settings import configured, protocol_name, read_protocol
from skeattn.protocols.target import TrainingProtocol
from skeattn.registry import EVALUATORS

DEFAULT = ('knn', 'linear')
ENCODER = 'backbone'


def read_protocols(protocols: Sequence[str], cfg: Config) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Names of the requested protocols, and the settings of these and of the protocols that read logits.

    Args:
        protocols: names or files; by default KNN, the linear protocol and the other evaluators of the config.
        cfg: a config.

    Raises:
        ConfigError: an unknown protocol, a wrong setting, or two protocols of one name.
    """
    own = configured(cfg)
    logits = [name for name, item in own.items() if reads_logits(item)] or ['topk']
    requested = list(protocols) or [*DEFAULT, *(name for name in own if name not in logits)]
    settings: dict[str, dict[str, Any]] = {}
    for protocol in dict.fromkeys([*requested, *logits]):
        name = protocol_name(protocol)
        if name in settings:
            raise ConfigError(f'two protocols have the name {name!r}; rename the file {protocol}')
        settings[name] = read_protocol(protocol, cfg)
    return list(dict.fromkeys(map(protocol_name, requested))), settings


def plan_sources(
    protocols: Sequence[str],
    settings: Mapping[str, Mapping[str, Any]],
    sources: Sequence[str],
    offered: Sequence[str],
    readouts: Sequence[str] = (),
    readout: str = MEAN,
) -> dict[str, list[str]]:
    """Source, with its readout, -> the protocols that evaluate it.

    Args:
        protocols: names of the requested protocols.
        settings: of these and of the protocols that read logits.
        sources: requested sources; they override the ``source`` of settings.
        offered: sources of the config and the method.
        readouts: requested readouts; they override the ``readout`` of settings. A source that names its readout keeps
            it, and logits and training protocols have none.
        readout: of the config.

    Raises:
        ConfigError: no source fits a protocol, or a readout is unknown.
    """
    plan: dict[str, list[str]] = {
        key: [] for source in sources or offered for key in _read(source, readouts or [readout])
    }
    for name in protocols:
        own = settings[name].get('source')
        candidates = sources or ([own] if own else offered)
        fitting = [source for source in candidates if (source == LOGITS) == reads_logits(settings[name])]
        if trains(settings[name]):
            fitting = [ENCODER]
        elif not fitting and list(sources) != [LOGITS]:
            raise ConfigError(
                f'protocol {name!r} cannot evaluate {", ".join(candidates)}; use logits with protocols that read them, '
                f'such as topk, and other sources with the others'
            )
        own_readouts = [MEAN] if trains(settings[name]) else readouts or [settings[name].get('readout') or readout]
        for key in dict.fromkeys(key for source in fitting for key in _read(source, own_readouts)):
            plan.setdefault(key, []).append(name)
    if not plan.get(LOGITS, True) and not all(trains(settings[name]) for name in protocols):
        plan[LOGITS] = [name for name, item in settings.items() if reads_logits(item)]
    return {source: names for source, names in plan.items() if names}


def _read(source: str, readouts: Sequence[str]) -> list[str]:
    """The source with each of the readouts."""
    if split_source(source)[0] == LOGITS:
        return [source]
    return list(dict.fromkeys(with_readout(source, readout) for readout in readouts))


def trains(settings: Mapping[str, Any]) -> bool:
    """Whether a protocol trains the network further, instead of reading features."""
    return _is_a(settings, TrainingProtocol)


def reads_logits(settings: Mapping[str, Any]) -> bool:
    """Whether a protocol reads the logits of a trained classifier."""
    return _is_a(settings, Evaluator) and EVALUATORS.get(settings['type']).reads == TopK.reads


def _is_a(settings: Mapping[str, Any], kind: type) -> bool:
    component = EVALUATORS.get(settings['type']) if isinstance(settings['type'], str) else settings['type']
    return isinstance(component, type) and issubclass(component, kind)


def check_labels(train: Any, test: Any) -> None:
    """Refuse data sets of labelled clips on which nothing can be evaluated.

    Raises:
        DataError: a class of test clips has no training clip.
    """
    absent = sorted(set(map(int, test.labels)) - set(map(int, train.labels)))
    if absent:
        names = ', '.join(repr(str(test.classes[label])) for label in absent[:3])
        raise DataError(
            f'{len(absent)} classes of the test clips have no training clip, such as {names}; change dataset.split or '
            f'dataset.subset'
        )
