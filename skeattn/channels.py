"""The values of a joint: its coordinates first, then others, such as a detector's score.

Operations that move a body (centre, rotation, shear, noise, motion, bone) change coordinates alone. Operations that
select or exchange joints and frames (resampling, crop, flip, mix) apply to all values of a joint.
"""

from collections.abc import Sequence

from skeattn.errors import ConfigError

AXES = ('x', 'y', 'z')
# The default channels by their number.
BY_COUNT = {2: AXES[:2], 3: AXES}


def num_coordinates(channels: Sequence[str]) -> int:
    """Number of channels that are coordinates: 2 for x, y, score; 3 for x, y, z."""
    return next((i for i, axis in enumerate(AXES) if tuple(channels[i : i + 1]) != (axis,)), len(AXES))


def check_channels(channels: str | Sequence[str]) -> tuple[str, ...]:
    """The channels as a tuple: names, ``'x,y,score'``, or letters such as ``'xyz'``.

    Raises:
        ConfigError: they do not begin with x, y or x, y, z; a coordinate comes later; or a name occurs twice.
    """
    if not isinstance(channels, Sequence) or not all(isinstance(name, str) for name in channels):
        raise ConfigError(f'channels={channels!r} must be names, such as x, y, score')
    apart = channels.split(',') if isinstance(channels, str) and ',' in channels else channels
    names = tuple(name.strip() for name in apart)
    D = num_coordinates(names)
    if D < 2 or {*AXES} & {*names[D:]} or len(set(names)) < len(names):
        raise ConfigError(f'channels={list(names)}: name x, y or x, y, z first, then the others, each once')
    return names
