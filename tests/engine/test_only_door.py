"""Weights that init_cfg names: read safely whatever the loader of mmengine, or of its successor, does."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.runner.checkpoint import CheckpointLoader

from skeattn.engine.build import load_model
from skeattn.engine.only_door import only_door
from skeattn.errors import CheckpointError
from tests.engine.toy import toy_config, toy_runner


class Evil:
    """Creates a file as soon as it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.fixture
def fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """Local files are read as onedl-mmengine reads them: without limits where they cannot be read with."""

    def unsafe(filename: str, map_location: Any = None) -> Any:
        try:
            return torch.load(filename, map_location=map_location, weights_only=True)
        except pickle.UnpicklingError:
            return torch.load(filename, map_location=map_location, weights_only=False)

    monkeypatch.setattr(CheckpointLoader, '_schemes', {**CheckpointLoader._schemes, '': unsafe})


def options(checkpoint: object) -> dict[str, Any]:
    return {'model__backbone__init_cfg': {'type': 'Pretrained', 'checkpoint': str(checkpoint)}, 'evaluation': None}


@pytest.mark.usefixtures('fork')
def test_a_file_that_would_run_code_is_refused_by_a_training_and_by_load_model(tmp_path: Path) -> None:
    torch.save({'state_dict': {'x': Evil(tmp_path / 'ran')}}, tmp_path / 'evil.pth')
    with pytest.raises(CheckpointError, match=r'evil\.pth'):
        toy_runner(tmp_path, default_hooks__checkpoint__save_best=None, **options(tmp_path / 'evil.pth')).train()
    with pytest.raises(CheckpointError, match=r'evil\.pth'):
        load_model(toy_config(tmp_path, **options(tmp_path / 'evil.pth')))
    assert not (tmp_path / 'ran').exists()
    CheckpointLoader.load_checkpoint(str(tmp_path / 'evil.pth'))
    assert (tmp_path / 'ran').exists()  # the file is one


@pytest.mark.slow
def test_intact_weights_are_taken_and_others_are_refused(tmp_path: Path) -> None:
    model = load_model(toy_config(tmp_path))
    weights = {name: torch.full_like(value, 0.5) for name, value in model.encoder.backbone.state_dict().items()}
    torch.save(weights, tmp_path / 'mine.pth')
    taken = load_model(toy_config(tmp_path, **options(tmp_path / 'mine.pth'))).encoder.backbone.state_dict()
    assert all((value == weights[name]).all() for name, value in taken.items())
    for other, message in (('https://example.org/a.pth', 'is no local file'), (tmp_path / 'none.pth', 'no such check')):
        with pytest.raises(CheckpointError, match=message):
            load_model(toy_config(tmp_path, **options(other)))


def test_other_users_of_mmengine_keep_its_loaders() -> None:
    before = dict(CheckpointLoader._schemes)
    with pytest.raises(KeyError), only_door():
        assert CheckpointLoader._schemes.keys() == before.keys() and CheckpointLoader._schemes != before
        raise KeyError
    assert before == CheckpointLoader._schemes
