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


@pytest.mark.parametrize('channels', ['x,y,score', 'x, y, score', ('x', 'y', 'score')])
def test_channels_may_be_one_text(channels):
    assert check_channels(channels) == ('x', 'y', 'score')


@pytest.mark.parametrize('channels', [3, None, [1, 2], {'x': 1}])
def test_what_is_no_list_of_names_is_refused(channels):
    with pytest.raises(ConfigError, match='must be names, such as x, y, score'):
        check_channels(channels)


@pytest.mark.parametrize(
    'channels', ['score', 'x,score', [], ['x'], ['x', 'score', 'y'], ['y', 'x'], ['x', 'y', 's', 's'], ['x', 'z', 'y']]
)
def test_other_orders_are_refused(channels):
    with pytest.raises(ConfigError, match='name x, y or x, y, z first'):
        check_channels(channels)
