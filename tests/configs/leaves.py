"""The configs that users run."""

from pathlib import Path

from tests.conftest import ROOT

LEAVES = sorted((ROOT / 'configs').glob('[!_]*/*.py'))


def name_of(path: Path) -> str:
    """``method/file``, without the suffix."""
    return f'{path.parent.name}/{path.stem}'
