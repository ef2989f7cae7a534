import base64
from pathlib import Path

import numpy as np
import pytest
import torch

from skeattn.datasets import PackedSet, Pipeline
from skeattn.engine.build import build_splits, config_of, load_model
from skeattn.errors import ConfigError
from skeattn.evaluation import extract_features
from skeattn.evaluation.embedding_map import project
from skeattn.evaluation.features import frozen
from skeattn.report import embedding, write_report
from skeattn.report.embedding import MapOptions, maps
from skeattn.report.runs import find_runs
from tests.report.runs import CLASSES, TEST

pytestmark = pytest.mark.slow

OPTIONS = MapOptions(method='pca', neighbours=4)


@pytest.fixture(scope='module')
def mapped(runs):
    return maps(runs, OPTIONS)


def test_runs_on_the_same_clips_share_a_scene(mapped, runs) -> None:
    of_runs, (scene,), (motion,) = mapped
    assert [one['scene'] for one in of_runs] == [0, 0]
    assert (scene['on_map'], scene['of'], scene['part'], scene['classes']) == (TEST, TEST, 'test', CLASSES)
    assert len(motion['clips']) == scene['moving'] == len(scene['name']) and list(motion['masks']) == [1]


def test_every_row_has_the_facts_of_its_clip(mapped, runs) -> None:
    scene, packed = mapped[1][0], PackedSet.open(config_of(runs[0].checkpoint).dataset.data)
    place = {str(name): i for i, name in enumerate(packed.table['name'])}
    indices = [place[name] for name in scene['name']]
    assert scene['name'][:TEST] == [f'clip{i:03d}' for i in range(TEST)]
    for column in ('label', 'subject', 'camera'):
        np.testing.assert_array_equal(scene[column], packed.table[column][indices])
    np.testing.assert_allclose(scene['seconds'], packed.table['frames'][indices] / 30, atol=0.005)


def test_points_and_neighbours_are_those_of_the_features(mapped, runs) -> None:
    of_runs, (scene,), _ = mapped
    cfg = config_of(runs[1].checkpoint)
    model, (train, test) = load_model(runs[1].checkpoint), build_splits(cfg)
    bank, shown = extract_features(model, train), extract_features(model, test)
    points = np.array(of_runs[1]['points'])
    expected = project(shown.x.numpy(), 0, method='pca')
    np.testing.assert_allclose(points, (expected - expected.min(0)) / np.ptp(expected, axis=0).max(), atol=1e-4)
    unit = [torch.nn.functional.normalize(one.x.double()) for one in (shown, bank)]
    similarity, nearest = (unit[0] @ unit[1].T).topk(4)
    np.testing.assert_allclose(of_runs[1]['similarity'], similarity, atol=1e-4)
    names = [[bank.names[i] for i in row] for row in nearest.tolist()]
    same = [[scene['name'][i] for i in row] for row in of_runs[1]['neighbours']]
    assert sum(a == b for a, b in zip(names, same, strict=True)) >= TEST - 4  # ties may be ordered otherwise


def test_clips_are_those_of_the_pipeline_without_moving_bodies(mapped, runs) -> None:
    """Centred bodies of two persons would stand in each other."""
    _, (scene,), (motion,) = mapped
    cfg = config_of(runs[0].checkpoint)
    steps = [*Pipeline(cfg.dataset.pipeline).in_place().steps]
    assert steps == ['resample', 'pack'] and 'centre' in cfg.dataset.pipeline
    pairs = [i for i, (persons, *_) in enumerate(motion['clips']) if persons == 2]
    persons, frames, _, scale, text = motion['clips'][pairs[0]]
    points = np.frombuffer(base64.b64decode(text), '<i2').reshape(persons, frames, len(scene['joints']), 3) * scale
    apart = np.linalg.norm(points[0, :, 0] - points[1, :, 0], axis=-1)
    np.testing.assert_allclose(apart, 0.8, atol=0.1)


def test_masks_are_those_of_the_network(mapped, runs) -> None:
    _, (scene,), (motion,) = mapped
    low, high = scene['masks'][1]['low'], scene['masks'][1]['high']
    model, (_, test) = load_model(runs[1].checkpoint), build_splits(config_of(runs[1].checkpoint))
    with frozen(model):
        expected = model.salient_mask(test.__getitems__([*range(TEST)]))
    for i, (persons, *_) in enumerate(motion['clips'][:TEST]):
        values = np.frombuffer(base64.b64decode(motion['masks'][1][i]), np.uint8).reshape(persons, -1, 25)
        shown = low + values / 255 * (high - low)
        np.testing.assert_allclose(shown, expected[i, :persons], atol=(high - low) / 510 + 1e-6)


def test_a_small_budget_leaves_out_the_farthest_neighbours(runs, monkeypatch) -> None:
    monkeypatch.setattr(embedding, 'BUDGET', 27 * 25 * 12 * 6)
    _, (scene,), (motion,) = maps(runs[:1], OPTIONS)
    assert TEST <= scene['moving'] < len(scene['name']) and len(motion['clips']) == scene['moving']
    assert scene['frames'] == 12 == motion['clips'][0][1]


def test_a_set_without_test_clips_shows_training_clips_and_no_clip_beside_itself(runs) -> None:
    options = MapOptions('pca', neighbours=3, options={'dataset.split': 'all'})
    (one,), (scene,), _ = maps(runs[:1], options)
    assert scene['part'] == 'train' and scene['on_map'] == len(scene['name'])
    assert all(i not in row and len(set(row)) == 3 for i, row in enumerate(one['neighbours']))


def test_missing_data_or_checkpoint_is_a_reason(work_dirs, tmp_path: Path) -> None:
    runs = find_runs(work_dirs)
    of_runs, scenes, motions = maps(runs, MapOptions('pca', options={'dataset.data': str(tmp_path / 'gone')}))
    assert scenes == motions == [] and all('no packed set at' in one['reason'] for one in of_runs)
    runs[0].checkpoint, runs[0].missing['checkpoint'] = None, 'no checkpoint'
    of_runs, scenes, _ = maps(runs, OPTIONS)
    assert of_runs[0] == {'reason': 'no checkpoint'} and of_runs[1]['scene'] == 0 and len(scenes) == 1


def test_too_few_clips_for_a_map_are_a_reason(work_dirs) -> None:
    (one, _), scenes, _ = maps(find_runs(work_dirs), MapOptions('pca', limit=3))
    assert 'too few for an embedding map' in one['reason'] and scenes == []


def test_an_unknown_override_is_a_reason(work_dirs) -> None:
    (one, _), _, _ = maps(find_runs(work_dirs), MapOptions('pca', options={'dataset.split': 'xset'}))
    assert "split='xset' is not one of" in one['reason']
    with pytest.raises(ConfigError, match='no embedding method'):
        write_report(work_dirs, 'never.html', MapOptions('som'))
