"""docs/api.md and the lines of the README run, in a folder with a set and trainings of their names."""

import re
from pathlib import Path

import numpy as np
import pytest

from skeattn.datasets.synthetic import generate, write_skeleton_file
from tests.conftest import ROOT

FENCE = re.compile(r'```python\n(.*?)```', re.DOTALL)
PAGE = FENCE.findall((ROOT / 'docs/api.md').read_text())
README = [block for block in FENCE.findall((ROOT / 'README.md').read_text()) if 'load_encoder' in block]


@pytest.fixture
def folder(reader: Path, tmp_path: Path, monkeypatch) -> Path:
    """The folder of a reader, in which a block may write."""
    for name in ('work_dirs', 'data'):
        (tmp_path / name).symlink_to(reader / name)
    (tmp_path / 'recordings').mkdir()
    write_skeleton_file(tmp_path / 'recordings/kitchen.skeleton', next(iter(generate(0, 1))).keypoint)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_blocks_of_the_page(folder: Path, clips, labels, capsys) -> None:
    names = {'clips': clips, 'labels': labels, 'camera': np.concatenate(clips[:2])}
    for block in PAGE:
        exec(block, names)
    assert names['features'].shape == (8, 8) and names['by_joint'].shape == (36, 200)
    assert names['from_file'].shape == (2, 8) and names['mask'].shape == (1, 4, 25)
    assert names['prediction'] is names['live'].newest and len(names['prediction']) == 1
    assert capsys.readouterr().out.startswith("ntu25 ('x', 'y', 'z') joint\n")


def test_the_lines_of_the_readme(folder: Path, clips) -> None:
    (block,) = README
    assert len(block.splitlines()) == 3
    names = {'clips': clips}
    exec(block, names)
    assert names['features'].shape == (8, 8)
