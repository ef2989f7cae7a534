"""The parts of the quick start; .ci/run executes the whole."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from skeattn.errors import SkeAttnError
from skeattn.evaluation import MaskMotion
from skeattn.evaluation.evaluator import as_evaluator
from tests.conftest import ROOT
from tests.engine.toy import tool
from tests.evaluation.standins import ClipSet, Encoder, clip_set

pytestmark = pytest.mark.slow

CORRELATIONS = {'untrained': 0.12, 'trained': 0.25}


@pytest.fixture(scope='module')
def quickstart():
    return tool('quickstart')


def rows_with(quickstart, knn: float, probe: float) -> dict[str, dict[str, float]]:
    """Metrics in which SkeAttnCLR exceeds raw coordinates by these points at K = 1 and with the probe."""
    raw = dict.fromkeys(quickstart.COLUMNS, 60.0)
    ours = {**raw, 'knn/top1_k5': 50.0, 'knn/top1_k1': 60.0 + knn, 'probe/top1': 60.0 + probe}
    return {quickstart.RAW: raw, quickstart.UNTRAINED: raw, 'SkeletonCLR': ours, 'SkeAttnCLR': ours}


@pytest.mark.parametrize(
    ('knn', 'probe', 'missed'),
    [
        (10.0, 0.1, ''),
        (9.9, 0.1, 'KNN K=1 of SkeAttnCLR over raw coordinates: +9.9 points, +10.0 required'),
        (30.0, 0.0, 'probe top-1 of SkeAttnCLR over raw coordinates: +0.0 points'),
        (30.0, -0.5, 'probe top-1 of SkeAttnCLR over raw coordinates: -0.5 points, more than 0 required'),
    ],
)
@pytest.mark.parametrize('check', [True, False])
def test_check_requires_both_points_above_raw_coordinates(
    quickstart, tmp_path, monkeypatch, capsys, knn, probe, missed, check
) -> None:
    (tmp_path / 'epoch_1.pth').write_bytes(b'weights')
    monkeypatch.setattr(quickstart, 'newest', lambda training: tmp_path / 'epoch_1.pth')
    masks = {name: MaskMotion(torch.tensor([r, r]), torch.arange(2), 0.4, 0.6) for name, r in CORRELATIONS.items()}
    test = SimpleNamespace(classes=['wave', 'kick'])
    comparison = SimpleNamespace(rows=rows_with(quickstart, knn, probe), motions=masks, test=test)
    assert quickstart.report(comparison, dict.fromkeys(quickstart.CONFIGS), tmp_path, check) == (check and bool(missed))
    shown, failed = capsys.readouterr()
    assert failed.startswith(f'check failed: {missed}' if check and missed else '') and failed.count('\n') <= 1
    assert (tmp_path / 'table.txt').read_text().rstrip('\n') in shown
    assert 'trained: mask values from 0.4000 to 0.6000\nAfter training the mask weakly follows movement: ' in shown
    assert ['kick', '1', '0.12', '0.25'] in [line.split() for line in shown.splitlines()]
    record = json.loads((tmp_path / 'results.json').read_text())
    assert record['gain_over_raw'] == pytest.approx({'knn/top1_k1': knn, 'probe/top1': probe})
    assert record['readout'] == 'joints' and shown.startswith('\nreadout ')
    assert record['metrics'] == comparison.rows
    assert record['mask_motion']['trained']['by_class'] == {'wave': 0.25, 'kick': 0.25}


def test_the_title_of_the_masks_claims_what_their_correlation_shows(quickstart) -> None:
    masks = {'trained': MaskMotion(torch.tensor([0.1, 0.2]), torch.arange(2), 0.4, 0.6)}
    title = 'MHSAM salient mask: does not follow movement (correlation with joint speed 0.15)'
    assert quickstart.mask_title(masks) == title


def test_every_row_is_of_the_same_protocols_and_encoders_are_read_by_joint(quickstart, monkeypatch) -> None:
    """Raw coordinates are the whole clip; an encoder's map of V' joints and C channels has V' * C values."""
    comparison = quickstart.Comparison.__new__(quickstart.Comparison)
    comparison.train, comparison.test = clip_set(9, seed=0), clip_set(5, seed=1)
    comparison.rows, comparison.maps, comparison.models = {}, {}, {}
    comparison.evaluators = {'width': as_evaluator(lambda bank, test: {'bank': bank.x.shape[1], 'test': len(test)})}
    comparison.configs = {name: {} for name in quickstart.CONFIGS}
    read = []

    class Read(Encoder):
        def features(self, data: dict[str, torch.Tensor], source: str = 'backbone') -> torch.Tensor:
            read.append(source)
            return super().features(data)

    monkeypatch.setattr(quickstart, 'load_model', lambda config, checkpoint=None: Read())
    monkeypatch.setattr(quickstart, 'newest', lambda training: None)
    comparison.add_baselines()
    comparison.add_trained(SimpleNamespace(name='SkeAttnCLR'))
    assert comparison.rows == {
        'raw coordinates, whole clip': {'width/bank': 3 * 5 * 2, 'width/test': 5},
        'untrained encoder': {'width/bank': 4, 'width/test': 5},
        'SkeAttnCLR': {'width/bank': 4, 'width/test': 5},
    }
    assert (
        read.count('backbone@joints') == 4 and comparison.masked['untrained'] is comparison.models[quickstart.UNTRAINED]
    )


def test_trainings_log_accuracy_of_the_readout_of_the_table(quickstart, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(quickstart, 'Job', lambda name, command, log, training: command)
    command = quickstart.start('SkeAttnCLR', tmp_path / 'run', {'batch_size': 8})
    assert {'evaluation.readout=joints', 'batch_size=8'} <= set(command)


def test_showpieces_are_of_different_classes_and_end_with_a_pair(quickstart) -> None:
    clips = torch.ones(12, 3, 4, 2, 2)
    clips[:10, ..., 1] = 0
    dataset = ClipSet(clips, torch.tensor([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6]), torch.zeros(12))
    indices = quickstart.showpieces(dataset)
    labels = dataset.labels[indices].tolist()
    assert len(set(labels)) == 4 and labels[-1] == 5
    dataset.clips = clips[:10, ..., :1]
    dataset.labels = dataset.labels[:10]
    assert len(set(dataset.labels[quickstart.showpieces(dataset)].tolist())) == 4


def test_a_failed_training_shows_the_end_of_its_log(quickstart, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(quickstart.CONFIGS, 'X', 'configs/nowhere.py')
    training = quickstart.start('X', tmp_path / 'x', {})
    with pytest.raises(SkeAttnError, match=r'(?s)training X ended with status 2; .*nowhere\.py'):
        quickstart.wait_for(training, [training])


def source_set_up(python: str) -> subprocess.CompletedProcess:
    command = ['bash', '-c', 'source tools/setup_env.sh vis; echo "taken: $PYTHON"']
    environment = {**os.environ, 'SKEATTN_PYTHON': python}
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)


def test_set_up_takes_an_environment_named_by_the_user_and_installs_nothing() -> None:
    assert source_set_up(sys.executable).stdout == f'taken: {sys.executable}\n'


def test_set_up_refuses_an_environment_without_the_requirements(tmp_path: Path) -> None:
    empty = tmp_path / 'python'
    empty.write_text('#!/bin/sh\nexit 1\n')
    empty.chmod(0o755)
    ended = source_set_up(str(empty))
    assert ended.returncode == 2 and ended.stdout == ''
    assert f'error: SKEATTN_PYTHON={empty} lacks torch, mmengine or mmcv' in ended.stderr
