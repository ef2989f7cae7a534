"""Exit of the tools: curable errors without a traceback, defects with one."""

import argparse
import ast
import subprocess
import sys

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skeattn import cli
from skeattn.errors import ConfigError, DataError


def end(main):
    with pytest.raises(SystemExit) as ended:
        cli.run(main)
    return ended.value.code


def fail(error):
    def main():
        raise error

    return main


@pytest.mark.parametrize('error', [DataError('clip 7 is empty'), ConfigError('clip 7 is empty')])
def test_a_curable_error_is_one_line_and_status_2(error, capsys):
    assert end(fail(error)) == 2
    assert capsys.readouterr().err == 'error: clip 7 is empty\n'


def test_success_interrupt_and_a_returned_status():
    assert end(lambda: None) == 0
    assert end(lambda: 3) == 3
    assert end(fail(KeyboardInterrupt())) == 130


def test_an_interrupt_can_say_how_to_continue(capsys):
    assert end(fail(KeyboardInterrupt('add --resume'))) == 130
    assert capsys.readouterr().err == 'interrupted; add --resume\n'


def test_a_device_that_is_not_there_is_refused():
    """Kind N3: a traceback after the data were read."""
    assert cli.device(None) is None and cli.device('cpu') == 'cpu'
    assert cli.device_or_best('cpu') == 'cpu'
    assert cli.device_or_best(None) == ('cuda' if torch.cuda.is_available() else 'cpu')
    for wrong in ('cuda:77', 'gpu', 'abc'):
        with pytest.raises(ConfigError, match=rf'^--device {wrong}: .*; here you can use cpu'):
            cli.device(wrong)


def test_a_closed_pipe_is_no_defect():
    """``tool | head``"""
    code = "from skeattn import cli; cli.run(lambda: print('line\\n' * 100_000))"
    tool = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert tool.stdout.readline() == 'line\n'
    tool.stdout.close()
    assert (tool.stderr.read(), tool.wait()) == ('', 141)
    tool.stderr.close()


def test_a_defect_keeps_its_traceback():
    with pytest.raises(ValueError, match='a defect'):
        cli.run(fail(ValueError('a defect')))


def options(*arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=cli.KeyValue)
    return parser.parse_args(['--cfg-options', *arguments]).cfg_options


@pytest.mark.parametrize(
    ('typed', 'value'),
    [
        ('bone', 'bone'),
        ('4', 4),
        ('-1e-3', -1e-3),
        ('None', None),
        ('True', True),
        ('false', False),
        ("'3'", '3'),
        ('[1,2]', [1, 2]),
        ('1,2', [1, 2]),
        ('(1,2)', (1, 2)),
        ('(1,),(2,)', [(1,), (2,)]),
        ('[joint,motion]', ['joint', 'motion']),
        ('[runs/a,[b,2.5]]', ['runs/a', ['b', 2.5]]),
        ("dict(type='Own', k=(1, 5), part=dict(lr=0.1, mode=mean))", None),
        ("{'a': [1, {'b': None}]}", {'a': [1, {'b': None}]}),
        ('my runs/a', 'my runs/a'),
        ('a,b', 'a,b'),
        ('runs/a, b', 'runs/a, b'),
        ('1,b', '1,b'),
        ('[1,2', '[1,2'),
        ('a=b', 'a=b'),
        ('1#2', '1#2'),
        ('007', '007'),
        ('', ''),
        (' ', ' '),
        ('[' * 5000, '[' * 5000),
        ('dict(' * 3000 + ')' * 3000, 'dict(' * 3000 + ')' * 3000),
        ('open("/etc/passwd")', 'open("/etc/passwd")'),
        ('C:\\runs\\new', 'C:\\runs\\new'),
    ],
)
def test_a_value_is_a_literal_or_the_text_as_typed(typed, value):
    """Kind F6: a parser that guesses. Blanks, commas and brackets of a path are the user's."""
    if typed.startswith('dict(type'):
        value = dict(type='Own', k=(1, 5), part=dict(lr=0.1, mode='mean'))
    read = options(f'key.of={typed}')['key.of']
    assert read == value and type(read) is type(value)


def is_literal(text):
    """What Python reads as a value, or the brackets in which words need no quotes."""
    try:
        ast.literal_eval(text.strip())
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return text.strip() in cli.NAMES or text.strip()[:1] in ('[', '(', '{') or text.strip().startswith('dict')
    return True


@given(st.text())
def test_text_comes_out_as_it_went_in(text):
    assert is_literal(text) or cli.parse_value(text) == text
    key, _, typed = cli.as_argument('key', text).partition('=')
    assert (key, cli.parse_value(typed)) == ('key', text)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=6,
)


@given(values)
def test_any_value_can_be_an_override(value):
    read = cli.parse_value(cli.as_argument('key', value).partition('=')[2])
    assert read == value and type(read) is type(value)


def test_a_former_option_is_read_with_a_note_and_without_help():
    parser = argparse.ArgumentParser()
    parser.add_argument('--new-name', default='start')
    cli.add_renamed(parser, '--former', '--new-name')
    with pytest.warns(FutureWarning, match='option --former is now called --new-name'):
        assert parser.parse_args(['--former', 'value']).new_name == 'value'
    assert parser.parse_args([]).new_name == 'start'
    assert parser.parse_args(['--new-name', 'value']).new_name == 'value'
    assert '--former' not in parser.format_help()


def test_the_option_can_be_given_twice():
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=cli.KeyValue, default={})
    assert parser.parse_args(['--cfg-options', 'a=1', '--cfg-options', 'b=2']).cfg_options == {'a': 1, 'b': 2}
    assert parser.parse_args([]).cfg_options == {}


@pytest.mark.parametrize('wrong', ['stream', '=bone'])
def test_a_malformed_override_ends_in_one_line(wrong, capsys):
    with pytest.raises(SystemExit) as ended:
        options('batch_size=4', wrong)
    message = f'{wrong!r} is not KEY=VALUE, such as stream=bone'
    assert ended.value.code == 2 and capsys.readouterr().err == f'error: --cfg-options: {message}\n'
