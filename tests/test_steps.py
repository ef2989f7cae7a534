"""Steps run in the order written, or beside the step that they name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skeattn.errors import ConfigError
from skeattn.steps import in_order


def test_a_step_goes_before_or_after_the_one_it_names_and_is_not_told_so():
    steps = {
        'centre': {'joint': 'hip'},
        'pack': {},
        'jitter': {'std': 1, 'before': 'pack'},
        'trim': {'after': 'centre'},
    }
    ordered = in_order(steps, 'pipeline')
    assert list(ordered) == ['centre', 'trim', 'jitter', 'pack']
    assert ordered == {'centre': {'joint': 'hip'}, 'trim': {}, 'jitter': {'std': 1}, 'pack': {}}
    assert steps['jitter'] == {'std': 1, 'before': 'pack'}


def test_steps_beside_the_same_step_keep_their_order():
    steps = {'a': {}, 'b': {'after': 'a'}, 'c': {'after': 'a'}, 'd': {'before': 'a'}, 'e': {'before': 'a'}}
    assert list(in_order(steps, 'pipeline')) == ['d', 'e', 'a', 'b', 'c']


def test_a_step_that_was_removed_still_marks_its_place():
    steps = {'centre': {}, 'align': None, 'pack': {}, 'scale': {'after': 'align'}}
    assert in_order(steps, 'pipeline') == {'centre': {}, 'align': None, 'scale': {}, 'pack': {}}


@st.composite
def placed(draw: st.DrawFn) -> dict[str, dict[str, str]]:
    """Steps of which each either goes nowhere else or names one that is written before it."""
    names = [f's{i}' for i in range(draw(st.integers(1, 8)))]
    steps = {}
    for i, name in enumerate(names):
        key = draw(st.sampled_from(['before', 'after'])) if i else None
        steps[name] = {key: draw(st.sampled_from(names[:i]))} if key and draw(st.booleans()) else {}
    return dict(draw(st.permutations([*steps.items()])))


@given(placed())
def test_every_step_is_on_its_side_and_the_others_keep_their_order(steps):
    order = list(in_order(steps, 'pipeline'))
    assert sorted(order) == sorted(steps)
    for name, step in steps.items():
        for key, anchor in step.items():
            assert (order.index(name) < order.index(anchor)) == (key == 'before')
    free = [name for name, step in steps.items() if not step]
    assert [name for name in order if name in free] == free


@pytest.mark.parametrize(
    ('steps', 'message'),
    [
        ({'a': {}, 'b': {'before': 'aa'}}, r"^pipeline\.b: before='aa' names no other step; did you mean 'a'\?"),
        ({'a': {}, 'b': {'after': 'b'}}, r"^pipeline\.b: after='b' names no other step"),
        ({'a': {}, 'b': {'before': 'a', 'after': 'a'}}, r'^pipeline\.b says before=.* and after=.*; keep one'),
        ({'a': {'after': 'b'}, 'b': {'after': 'a'}, 'c': {}}, '^pipeline: a, b wait for each other'),
    ],
)
def test_a_step_that_goes_nowhere_is_refused(steps, message):
    """Kind H1: a place where order matters and nothing is checked."""
    with pytest.raises(ConfigError, match=message):
        in_order(steps, 'pipeline')
