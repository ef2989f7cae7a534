"""The latency benchmark times every alternative on every batch."""

import pytest
import torch

from skeattn.benchmark.latency import latencies
from skeattn.deployment import DeployedNetwork
from skeattn.deployment.export import OLDEST_TORCH
from skeattn.errors import ConfigError
from skeattn.registry import MODELS

OLD = tuple(map(int, torch.__version__.split('.')[:2])) < OLDEST_TORCH


@pytest.fixture
def network() -> DeployedNetwork:
    """A narrow transformer, untrained."""
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='Recognizer',
            backbone=dict(type='SkeletonTransformer', layout='ntu25', out_channels=8, depth=1, num_heads=2),
            head=None,
            data_preprocessor=dict(type='SkeletonPreprocessor', layout='ntu25', stream='joint'),
        )
    ).eval()
    object.__setattr__(model, 'trained_on', {'num_frames': 8})
    return DeployedNetwork(model)


@pytest.mark.slow
@pytest.mark.skipif(OLD, reason='this torch is too old for exports')
def test_rows(network):
    found = dict(latencies(network, (1, 3), rounds=2, kinds=('torch',)))
    assert found.keys() == {1, 3}
    for clips, rows in found.items():
        assert [row['name'] for row in rows] == ['module', 'torch'] and rows[0]['ratio'] == 1
        assert all(row['per_second'] == pytest.approx(1000 * clips / row['median_ms']) for row in rows)


@pytest.mark.parametrize(('clips', 'rounds'), [((), 1), ((0,), 1), ((1,), 0)])
def test_nothing_to_time_is_refused(network, clips, rounds):
    with pytest.raises(ConfigError, match='at least 1'):
        next(latencies(network, clips, rounds))
