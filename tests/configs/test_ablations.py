"""An ablation changes what its line in the README says, and nothing else."""

import argparse
import re
from pathlib import Path
from typing import Any

import pytest

from skeattn import cli
from skeattn.engine import config_diff as diff
from skeattn.engine.config import read_config, resolve_config
from skeattn.registry import HOOKS, MODELS
from tests.configs.leaves import ABLATIONS, name_of
from tests.conftest import ROOT

FOLDER = ROOT / 'configs/skeattnclr'
BASE = FOLDER / 'stgcn_ntu60_xsub.py'
ROW = re.compile(r'^\| \[`(\w+)\.py`\]\(ablations/\1\.py\) \| [^|]+ \| `([^`]+)` \| [^|]+ \|$', re.MULTILINE)
DOCUMENTED = dict(ROW.findall((FOLDER / 'README.md').read_text()))


def documented(name: str) -> dict[str, Any]:
    """The options in an ablation's line, read as the command line reads them."""
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=cli.KeyValue)
    return parser.parse_args(['--cfg-options', *DOCUMENTED[name].split()]).cfg_options


def resolved(path: Path, options: dict[str, Any] | None = None) -> dict[str, Any]:
    return resolve_config(read_config(path, options)).to_dict()


def test_every_ablation_has_its_line():
    assert sorted(DOCUMENTED) == [path.stem for path in ABLATIONS]


@pytest.mark.parametrize('path', ABLATIONS, ids=name_of)
def test_what_differs_from_the_base_is_what_is_documented(path):
    options = documented(path.stem)
    assert not diff.differences(resolved(path), resolved(BASE, options))
    keys = diff.differences(read_config(BASE).to_dict(), read_config(path).to_dict())
    # An option that removes a step removes all that is below it.
    found = {next((option for option in options if f'{key}.'.startswith(f'{option}.')), key) for key in keys}
    assert found == {*options}


@pytest.mark.slow
@pytest.mark.parametrize('path', ABLATIONS, ids=name_of)
def test_it_builds_and_its_options_fit_another_data_set(path):
    other = resolved(FOLDER / 'stgcn_nwucla_xview.py', documented(path.stem))
    for cfg in (resolved(path), other):
        model = MODELS.build(cfg['model'])
        assert model.paper_vs_release()
        HOOKS.build(cfg['default_hooks']['momentum'])


def test_an_ablation_is_a_few_lines():
    longest = max(ABLATIONS, key=lambda path: len(path.read_text().splitlines()))
    assert len(longest.read_text().splitlines()) <= 6, longest
