"""Arguments under their old names still arrive, and say once what they are called now."""

import warnings

import pytest

from skeattn.renaming import note_renamed, renamed_arguments


@renamed_arguments(protocol='split', split='part')
def read(data, split, part='train'):
    return data, split, part


@pytest.fixture(autouse=True)
def forgotten():
    """As in a process that has noted nothing yet."""
    note_renamed.cache_clear()
    yield
    note_renamed.cache_clear()


def test_new_names_are_read_without_a_note():
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert read('d', 'xsub', 'test') == read('d', split='xsub', part='test') == ('d', 'xsub', 'test')


def test_a_name_is_noted_once_a_process():
    with pytest.warns(FutureWarning, match=r"argument 'protocol' is now called 'split'") as seen:
        for _ in range(3):
            assert read('d', protocol='xsub') == ('d', 'xsub', 'train')
    assert len(seen) == 1


@pytest.mark.parametrize(
    ('args', 'kwargs'),
    [(('d',), {'protocol': 'xsub', 'split': 'test'}), (('d', 'xsub'), {'split': 'test'})],
)
def test_a_new_name_that_was_another_ones_old_name_is_understood(args, kwargs):
    with pytest.warns(FutureWarning):
        assert read(*args, **kwargs) == ('d', 'xsub', 'test')


def test_what_fits_neither_way_fails_as_any_call():
    with pytest.raises(TypeError, match="unexpected keyword argument 'protokoll'"):
        read('d', protokoll='xsub')
    with pytest.raises(TypeError, match="unexpected keyword argument 'protocol'"):
        read('d', 'xsub', protocol='xview')
