"""Named steps of a config, in the order in which they run: that of writing, unless a step says where it goes."""

from collections.abc import Iterator, Mapping
from typing import Any

from skeattn.errors import ConfigError, did_you_mean

PLACING = ('before', 'after')
"""Keys of a step that name another step; they say where it runs and are no arguments of its own."""

Steps = Mapping[str, Mapping[str, Any] | None]


def in_order(steps: Steps, place: str) -> dict[str, dict[str, Any] | None]:
    """The steps in the order in which they run, without the keys that say so.

    A child config's dict is merged after what its base holds, so a new step would always be the last;
    ``jitter=dict(type='Jitter', before='pack')`` is not. Steps that go to one side of the same step keep the order in
    which they are written. A step that is None was removed, and still marks its place.

    Args:
        steps: ``{name: config or None}``.
        place: where they stand in the config, for messages.

    Raises:
        ConfigError: ``before`` or ``after`` names no other step, both are given, or steps wait for each other.
    """
    beside: dict[str, dict[str, list[str]]] = {name: {key: [] for key in PLACING} for name in steps}
    free = []
    for name, step in steps.items():
        placing = {key: step[key] for key in PLACING if isinstance(step, Mapping) and step.get(key) is not None}
        if len(placing) > 1:
            raise ConfigError(
                f'{place}.{name} says before={placing["before"]!r} and after={placing["after"]!r}; keep one'
            )
        for key, anchor in placing.items():
            others = [other for other in steps if other != name]
            if anchor not in others:
                raise ConfigError(
                    f'{place}.{name}: {key}={anchor!r} names no other step; {did_you_mean(str(anchor), others)}'
                )
            beside[anchor][key].append(name)
        if not placing:
            free.append(name)

    def run(name: str) -> Iterator[str]:
        for other in beside[name]['before']:
            yield from run(other)
        yield name
        for other in beside[name]['after']:
            yield from run(other)

    order = [name for first in free for name in run(first)]
    if waiting := [name for name in steps if name not in order]:
        raise ConfigError(f'{place}: {", ".join(waiting)} wait for each other by before and after')
    return {name: _without_placing(steps[name]) for name in order}


def _without_placing(step: Any) -> Any:
    return {key: value for key, value in step.items() if key not in PLACING} if isinstance(step, Mapping) else step
