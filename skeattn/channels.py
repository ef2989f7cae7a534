"""What the values of a joint are: its coordinates first, then anything else, such as a detector's score.

Moving a body about (centre, rotation, shear, noise, motion, bone) changes coordinates alone; choosing and exchanging
joints and frames (resampling, crop, flip, mix) takes along all that a joint has.
"""

from collections.abc import Sequence

from skeattn.errors import ConfigError

AXES = ('x', 'y', 'z')
# What the values are where nobody says: by their number.
BY_COUNT = {2: AXES[:2], 3: AXES}


def num_coordinates(channels: Sequence[str]) -> int:
    """How many of the channels are coordinates: 2 for x, y, score; 3 for x, y, z."""
    return next((i for i, axis in enumerate(AXES) if tuple(channels[i : i + 1]) != (axis,)), len(AXES))


def check_channels(channels: Sequence[str]) -> tuple[str, ...]:
    """The channels as a tuple.

    Raises:
        ConfigError: they do not begin with x, y or x, y, z, a coordinate comes later, or one is named twice.
    """
    names = tuple(channels)
    D = num_coordinates(names)
    if D < 2 or {*AXES} & {*names[D:]} or len(set(names)) < len(names):
        raise ConfigError(f'channels={list(names)}: name x, y or x, y, z first, then the others, each once')
    return names
