"""The values of a joint that are coordinates."""

import pytest

from skeattn.channels import check_channels, num_coordinates
from skeattn.errors import ConfigError


@pytest.mark.parametrize(
    ('channels', 'coordinates'),
    [('xy', 2), ('xyz', 3), (['x', 'y', 'score'], 2), (['x', 'y', 'z', 'score', 'visible'], 3)],
)
def test_coordinates_come_first(channels, coordinates):
    assert num_coordinates(channels) == coordinates
    assert check_channels(channels) == tuple(channels)


@pytest.mark.parametrize(
    'channels', [[], ['x'], ['x', 'score', 'y'], ['y', 'x'], ['x', 'y', 's', 's'], ['x', 'z', 'y']]
)
def test_other_orders_are_refused(channels):
    with pytest.raises(ConfigError, match='name x, y or x, y, z first'):
        check_channels(channels)
