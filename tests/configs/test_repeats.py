"""Configs carry differences, not copies."""

from collections import Counter

import pytest

from skeattn.errors import ConfigError
from tests.conftest import ROOT
from tests.engine.toy import tool

repeats = tool('analysis_tools/config_repeats')

TEXT = '''"""A docstring
lr = 0.1
"""

_base_ = [
    './a.py',
]
_base_.merge(_base_.pop('small'))

model = dict(  # opens a bracket
    mu=0.5,  # a comment
    views=dict(
        mix=None,
    ),
    layers=[
        dict(std=0.02),
    ],
)
# a comment
stream = 'bone'
'''


def test_lines_that_set_something_count():
    assert list(repeats.set_lines(TEXT)) == ['mu=0.5,', 'mix=None,', 'dict(std=0.02),', "stream = 'bone'"]


def test_a_line_repeats_those_before_it_in_any_file(tmp_path):
    (tmp_path / 'a.py').write_text('lr = 1\nmodel = dict(\n    mu=0.5,\n)\n')
    (tmp_path / 'b').mkdir()
    (tmp_path / 'b/b.py').write_text('head = dict(\n        mu=0.5,  # indented otherwise\n)\nlr = 1\nlr = 1\n')
    counts = repeats.count_lines(tmp_path)
    assert counts == Counter({'lr = 1': 3, 'mu=0.5,': 2})
    assert repeats.share_of_repeats(counts) == pytest.approx(100 * 3 / 5)


def test_a_folder_without_configs_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match='holds no configs'):
        repeats.count_lines(tmp_path)


def test_under_a_tenth_of_the_lines_are_repeats(monkeypatch, capsys):
    counts = repeats.count_lines(ROOT / 'configs')
    assert repeats.share_of_repeats(counts) < 10, counts.most_common(10)
    monkeypatch.setattr('sys.argv', ['config_repeats.py', str(ROOT / 'configs'), '--top', '1'])
    repeats.main()
    line, times = counts.most_common(1)[0]
    printed = capsys.readouterr().out.splitlines()
    assert printed == [
        f'{repeats.share_of_repeats(counts):.1f} % of {counts.total()} lines are repeats',
        f'{times:4d} x  {line}',
    ]
