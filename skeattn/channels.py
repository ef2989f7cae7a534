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


def check_channels(channels: Sequence[str]) -> tuple[str, ...]:
    """The channels as a tuple.

    Raises:
        ConfigError: they do not begin with x, y or x, y, z; a coordinate comes later; or a name occurs twice.
    """
    names = tuple(channels)
    D = num_coordinates(names)
    if D < 2 or {*AXES} & {*names[D:]} or len(set(names)) < len(names):
        raise ConfigError(f'channels={list(names)}: name x, y or x, y, z first, then the others, each once')
    return names
