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
from tests.conftest import ROOT
from tests.engine.toy import tool
from tests.evaluation.standins import ClipSet

CORRELATIONS = {'untrained': 0.12, 'trained': 0.25}


@pytest.fixture(scope='module')
def quickstart():
    return tool('quickstart')


def rows_with(quickstart, gain: float) -> dict[str, dict[str, float]]:
    """Metrics in which SkeAttnCLR gains ``gain`` points at K = 5 and more elsewhere."""
    metrics = {f'knn/top1_k{k}': 30.0 for k in quickstart.K} | {'linear/top1': 50.0}
    trained = {key: value + 40 for key, value in metrics.items()} | {'knn/top1_k5': 30.0 + gain}
    return {quickstart.RAW: metrics, quickstart.UNTRAINED: metrics, 'SkeletonCLR': trained, 'SkeAttnCLR': trained}


@pytest.mark.parametrize(('gain', 'check', 'status'), [(20.0, True, 0), (19.9, True, 1), (19.9, False, 0)])
def test_check_asks_for_twenty_points_at_every_k(
    quickstart, tmp_path, monkeypatch, capsys, gain, check, status
) -> None:
    (tmp_path / 'epoch_1.pth').write_bytes(b'weights')
    monkeypatch.setattr(quickstart, 'newest', lambda training: tmp_path / 'epoch_1.pth')
    masks = {name: MaskMotion(torch.tensor([r, r]), torch.arange(2), 0.4, 0.6) for name, r in CORRELATIONS.items()}
    test = SimpleNamespace(classes=['wave', 'kick'])
    comparison = SimpleNamespace(rows=rows_with(quickstart, gain), motions=masks, test=test)
    assert quickstart.report(comparison, dict.fromkeys(quickstart.CONFIGS), tmp_path, check) == status
    shown = capsys.readouterr().out
    assert (tmp_path / 'table.txt').read_text().rstrip('\n') in shown
    assert 'trained: mask values from 0.4000 to 0.6000\nAfter training the mask weakly follows movement: ' in shown
    assert ['kick', '1', '0.12', '0.25'] in [line.split() for line in shown.splitlines()]
    record = json.loads((tmp_path / 'results.json').read_text())
    assert record['knn_gain_over_untrained']['5'] == pytest.approx(gain)
    assert record['metrics'] == comparison.rows
    assert record['mask_motion']['trained']['by_class'] == {'wave': 0.25, 'kick': 0.25}


def test_the_title_of_the_masks_claims_what_their_correlation_shows(quickstart) -> None:
    masks = {'trained': MaskMotion(torch.tensor([0.1, 0.2]), torch.arange(2), 0.4, 0.6)}
    title = 'MHSAM salient mask: does not follow movement (correlation with joint speed 0.15)'
    assert quickstart.mask_title(masks) == title


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


@pytest.mark.slow
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
