"""Smoothing by name: loss parts were logged by their last value, the total as a mean, so they did not add up."""

import json
from pathlib import Path

import pytest

from skeattn.engine import SkeAttnRunner
from tests.engine.runs import curves, logged
from tests.engine.toy import toy_config, toy_runner, write_set


@pytest.fixture(scope='module')
def run(tmp_path_factory) -> Path:
    """A run of two epochs of six iterations, with an evaluation after each."""
    folder = tmp_path_factory.mktemp('log')
    data = write_set(folder / 'set')
    toy_runner(folder, data=data, batch_size=4, train_cfg__max_epochs=2, evaluation__interval=1).train()
    return folder / 'run'


@pytest.mark.slow
def test_the_logged_parts_of_a_loss_add_up_to_the_logged_total(run):
    """Kind N4: smoothing by name."""
    lines = logged(run)
    assert len(lines) == 12
    for line in lines:
        parts = line['L_global'] + 0.5 * line['L_s'] + 0.5 * line['L_ns']
        assert line['loss'] == pytest.approx(parts, rel=1e-6)


@pytest.mark.slow
def test_rates_and_metrics_are_logged_as_they_are(run):
    """A rate or an accuracy averaged over a window would be a value that never occurred."""
    momenta = [line['momentum'] for line in logged(run)]
    assert momenta[0] == 0.996 and momenta == sorted(momenta) and momenta[-1] > 0.9995
    scores = {line['step']: line['knn/top1_k1'] for line in curves(run) if 'knn/top1_k1' in line}
    best = json.loads((run / 'best.json').read_text())['knn/top1_k1']
    assert scores[best['epoch']] == best['score'] == max(scores.values())


def test_a_line_of_the_training_ends_with_the_latest_score_and_its_epoch(run):
    scores = {line['step']: line['knn/top1_k1'] for line in curves(run) if 'knn/top1_k1' in line}
    lines = [line for line in next(run.glob('*/*.log')).read_text().splitlines() if 'Epoch(train)' in line]
    first, second = ([line for line in lines if f'Epoch(train) [{epoch}]' in line] for epoch in (1, 2))
    assert len(first) == len(second) == 6
    assert not any('knn/' in line for line in first)
    assert all(line.endswith(f'knn/top1_k1: {scores[1]:.1f} (epoch 1)') for line in second)


@pytest.mark.parametrize(
    ('changes', 'kept'),
    [({}, {'LocalVisBackend', 'TensorboardVisBackend'}), ({'tensorboard': None}, {'LocalVisBackend'})],
)
def test_backends_are_named_steps(tmp_path, changes, kept):
    backends = {'local': {'type': 'LocalVisBackend'}, 'tensorboard': {'type': 'TensorboardVisBackend'}, **changes}
    cfg = toy_config(tmp_path)
    cfg.visualizer = {'type': 'Visualizer', 'vis_backends': backends}
    runner = SkeAttnRunner.from_cfg(cfg)
    assert {type(backend).__name__ for backend in runner.visualizer._vis_backends.values()} == kept
