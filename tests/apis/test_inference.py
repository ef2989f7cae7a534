from pathlib import Path

import numpy as np
import pytest
import torch

from skeattn.apis import build_splits, embed, load_model
from skeattn.datasets import PackedSet, split
from skeattn.engine.config import resolve_config
from skeattn.errors import CheckpointError, DataError
from skeattn.evaluation import extract_features
from tests.engine.toy import toy_config


@pytest.fixture(scope='module')
def cfg(tmp_path_factory):
    return toy_config(tmp_path_factory.mktemp('apis'))


def test_embedding_raw_arrays_equals_embedding_the_packed_set(cfg) -> None:
    model = load_model(cfg)
    _, test = build_splits(resolve_config(cfg))
    packed = PackedSet.open(cfg.dataset.data)
    clips = [np.asarray(packed.clip(int(i))) for i in split(packed, cfg.dataset.split)[1]]
    clips[0] = clips[0][0]  # one person without the axis of persons
    features = embed(model, clips, cfg.dataset.pipeline)
    torch.testing.assert_close(torch.from_numpy(features), extract_features(model, test).x)
    by_joint = embed(model, clips, cfg.dataset.pipeline, readout='joints')
    torch.testing.assert_close(torch.from_numpy(by_joint), extract_features(model, test, readout='joints').x)
    assert by_joint.shape == (len(clips), 25 * features.shape[1])


@pytest.mark.parametrize(
    ('clip', 'message'),
    [
        (np.zeros((5, 24, 3)), r'clip 1 has shape \(5, 24, 3\); layout .ntu25. needs \(T, 25, 3\)'),
        (np.zeros((0, 25, 3)), 'clip 1 has shape'),
        (np.full((5, 25, 3), np.nan), 'clip 1: no person is present, every value is zero or missing'),
        (np.zeros((5, 25, 3)), 'clip 1: no person is present'),
        (np.full((5, 25, 3), np.inf), 'clip 1: NaN or infinite coordinate at person 0, frame 0, joint spine_base'),
    ],
)
def test_a_clip_that_does_not_fit_is_named(cfg, clip: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        embed(load_model(cfg), [np.arange(450.0).reshape(6, 25, 3), clip], cfg.dataset.pipeline)


def test_no_clips(cfg) -> None:
    with pytest.raises(DataError, match='no clips'):
        embed(load_model(cfg), [], cfg.dataset.pipeline)


def test_a_checkpoint_is_loaded_and_a_foreign_one_refused(cfg, tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = load_model(cfg)
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'epoch_1.pth')
    torch.manual_seed(2)
    again = load_model(cfg, tmp_path / 'epoch_1.pth')
    assert not again.training
    assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True))
    torch.save({'state_dict': {'other': torch.zeros(1)}}, tmp_path / 'foreign.pth')
    with pytest.raises(CheckpointError, match=r'foreign\.pth'):
        load_model(cfg, tmp_path / 'foreign.pth')
