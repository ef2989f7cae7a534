"""Kind: a guard in one tool and not in the loader. What training fixed comes from the checkpoint."""

import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from skeattn.apis import build_splits, config_of, embed, load_model
from skeattn.checkpoint import read_checkpoint, write_checkpoint
from skeattn.engine.config import resolve_config
from skeattn.errors import CheckpointError, ConfigError
from skeattn.evaluation import extract_features
from tests.engine.toy import toy_config, toy_runner

QUIET = {'evaluation': None, 'default_hooks__checkpoint__save_best': None}


@pytest.fixture(scope='module')
def run(tmp_path_factory) -> Path:
    """The folder of a training."""
    folder = tmp_path_factory.mktemp('guards')
    toy_runner(folder, train_cfg__max_epochs=1, **QUIET).train()
    return folder / 'run'


@pytest.fixture
def lines(monkeypatch) -> list[str]:
    """What is printed at the level of a warning."""
    kept: list[str] = []

    def note(text, *_, **__):
        level = _[1] if len(_) > 1 else logging.INFO
        kept.extend([text] if level == logging.WARNING else [])

    for module in ('skeattn.evaluation.features', 'skeattn.engine.build'):
        monkeypatch.setattr(f'{module}.print_log', note)
    return kept


def clips(count: int = 3) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [(rng.normal(size=(20, 25, 3)) + np.array([0, 1, 3])).astype(np.float32) for _ in range(count)]


def altered(run: Path, out: Path, **meta) -> Path:
    checkpoint = read_checkpoint(run / 'epoch_1.pth')
    checkpoint['meta'].update(meta)
    write_checkpoint(out, checkpoint)
    return out


@pytest.mark.slow
@pytest.mark.parametrize('name', ['', 'epoch_1.pth'])
def test_a_work_dir_and_a_checkpoint_are_enough_to_load_and_embed(run, lines, name):
    cfg = toy_config(run.parent)
    expected, model = load_model(cfg, run / 'epoch_1.pth'), load_model(run / name)
    assert all(
        torch.equal(a, b) for a, b in zip(expected.state_dict().values(), model.state_dict().values(), strict=True)
    )
    assert not model.training
    np.testing.assert_array_equal(embed(model, clips()), embed(expected, clips(), cfg.dataset.pipeline))
    assert lines == []


def test_the_stored_config_builds_the_same_data_set(run):
    stored, own = build_splits(config_of(run))[1], build_splits(resolve_config(toy_config(run.parent)))[1]
    assert torch.equal(stored.clips, own.clips)


def test_clips_of_another_length_are_reported_once_by_embed_and_by_features(run, lines):
    """Kind N2: a guard in one tool and not in the loader."""
    cfg = toy_config(run.parent, dataset__pipeline__resample__num_frames=12)
    model = load_model(cfg, run)
    embed(model, clips(), cfg.dataset.pipeline)
    extract_features(model, build_splits(resolve_config(cfg))[1])
    cure = 'for equal lengths: --cfg-options dataset.pipeline.resample.num_frames=16'
    file = run / 'epoch_1.pth'
    assert lines == [f'{file} was trained on clips of 16 frames and is evaluated on clips of 12; {cure}']


def test_a_pipeline_that_differs_is_reported_in_one_line(run, lines):
    cfg = toy_config(run.parent, dataset__pipeline__centre=None)
    load_model(cfg, run)
    assert len(lines) == 1 and 'was trained with dataset.pipeline.centre=' in lines[0] and 'not set' in lines[0]


@pytest.mark.slow
def test_features_read_in_another_way_and_another_split_are_reported(run, lines):
    load_model(toy_config(run.parent, model__pool='last', dataset__split='all'), run)
    (line,) = lines
    assert 'was trained with model.pool' in line and 'dataset.split' in line and "'all'" in line
    elsewhere = toy_config(run.parent, dataset__split='all', dataset__data=str(run.parent / 'other'))
    load_model(elsewhere, run)
    assert lines == [line]


@pytest.mark.slow
def test_a_checkpoint_of_an_earlier_version_is_read_from_its_text(run, tmp_path):
    checkpoint = read_checkpoint(run / 'epoch_1.pth')
    del checkpoint['meta']['config']
    write_checkpoint(tmp_path / 'old.pth', checkpoint)
    model = load_model(tmp_path / 'old.pth')
    np.testing.assert_array_equal(embed(model, clips()), embed(load_model(run), clips()))


def test_without_a_config_the_cure_is_named(tmp_path, run):
    torch.save({'state_dict': read_checkpoint(run / 'epoch_1.pth')['state_dict']}, tmp_path / 'bare.pth')
    with pytest.raises(CheckpointError, match=r'bare\.pth does not hold its config; pass the config file as well'):
        load_model(tmp_path / 'bare.pth')
    model = load_model(toy_config(run.parent), tmp_path / 'bare.pth')
    with pytest.raises(ConfigError, match=r'pass cfg\.dataset\.pipeline'):
        embed(model, clips())
    with pytest.raises(CheckpointError, match='no such checkpoint'):
        load_model(tmp_path / 'absent.pth')
    with pytest.raises(CheckpointError, match='holds no checkpoint'):
        load_model(tmp_path)


@pytest.mark.parametrize('place', ['model', 'model.backbone', 'model.loss', 'dataset.pipeline.centre'])
@pytest.mark.parametrize('name', ['os.system', 'a_module_beside_it'])
def test_a_stored_config_runs_and_imports_nothing(run, tmp_path, monkeypatch, place, name):
    """A component is looked up by its registered name alone; a registry would import any module for it."""
    (tmp_path / 'a_module_beside_it.py').write_text(f'open({str(tmp_path / "ran")!r}, "w")')
    monkeypatch.syspath_prepend(tmp_path)
    config = read_checkpoint(run / 'epoch_1.pth')['meta']['config']
    node = config
    for key in place.split('.'):
        node = node[key]
    node.update(type=name, command=f'touch {tmp_path / "ran"}')
    with pytest.raises(CheckpointError, match=f'names the component {name!r}'):
        load_model(altered(run, tmp_path / 'evil.pth', config=config))
    assert not os.path.exists(tmp_path / 'ran')


def test_a_stored_config_reads_no_other_file(run, tmp_path):
    """An init_cfg could name a file, or an address, that is unpickled."""
    config = read_checkpoint(run / 'epoch_1.pth')['meta']['config']
    config['model']['init_cfg'] = {'type': 'Pretrained', 'checkpoint': str(tmp_path / 'absent.pth')}
    load_model(altered(run, tmp_path / 'a.pth', config=config))


@pytest.mark.parametrize('model', [5, {'type': 'SkeAttnCLR', 'backbone': 3}, {'type': 'STGCN'}, {'type': ['a']}])
def test_a_damaged_stored_config_ends_in_one_line(run, tmp_path, model):
    config = read_checkpoint(run / 'epoch_1.pth')['meta']['config']
    with pytest.raises((CheckpointError, ConfigError)) as error:
        load_model(altered(run, tmp_path / 'a.pth', config={**config, 'model': model}))
    assert '\n' not in str(error.value)
