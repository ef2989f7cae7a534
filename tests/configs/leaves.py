"""The configs that users run."""

from pathlib import Path

from tests.conftest import ROOT

CONFIGS = ROOT / 'configs'
LEAVES = sorted(CONFIGS.glob('[!_]*/*.py'))
ABLATIONS = sorted(CONFIGS.glob('[!_]*/ablations/*.py'))


def name_of(path: Path) -> str:
    """``method/file``, without the suffix."""
    return path.relative_to(CONFIGS).with_suffix('').as_posix()
