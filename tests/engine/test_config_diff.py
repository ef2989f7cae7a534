from skeattn.engine.config_diff import ABSENT, differences, once


def test_the_order_of_steps_is_a_difference_and_that_of_settings_is_none() -> None:
    steps = {'centre': {'type': 'Centre', 'joint': 'root', 'reference': 'frame'}, 'pack': {'type': 'PackClip'}}
    turned = dict(reversed(steps.items()))
    settings = {'centre': dict(reversed(steps['centre'].items())), 'pack': steps['pack']}
    assert differences({'pipeline': steps}, {'pipeline': settings}) == {}
    assert differences({'pipeline': steps}, {'pipeline': turned}) == {
        'pipeline (order)': ('centre, pack', 'pack, centre')
    }
    left, right = ({'model': {'views': {'query': value}}} for value in (steps, turned))
    assert differences(left, right) == {'model.views.query (order)': ('centre, pack', 'pack, centre')}


def test_only_a_repeated_value_is_left_out() -> None:
    rows = {
        'stream': ("'a'", "'b'"),
        'model.stream': ("'a'", "'b'"),
        'val.stream': ("'a'", "'c'"),
        'upstream': ("'a'", "'b'"),
    }
    assert list(once(rows)) == ['stream', 'val.stream', 'upstream']


def test_lists_of_components_are_compared_one_by_one() -> None:
    left, right = ({'schedule': [{'type': 'A', 'gamma': 1}, {'type': 'B', 'at': at}]} for at in ((1, 2), [1, 3]))
    assert differences(left, right) == {'schedule[1].at': ('[1, 2]', '[1, 3]')}
    assert differences({'a': (1, 2)}, {'a': [1, 2]}) == {}


def test_several_configs_have_a_value_each() -> None:
    assert differences({'a': 1, 'b': 2}, {'a': 1, 'b': 3}, {'a': 1}) == {'b': ('2', '3', ABSENT)}
    steps = {'x': {'type': 'X'}, 'y': {'type': 'Y'}}
    turned = dict(reversed(steps.items()))
    assert differences(*({'pipeline': one} for one in (steps, steps, turned))) == {
        'pipeline (order)': ('x, y', 'x, y', 'y, x')
    }
