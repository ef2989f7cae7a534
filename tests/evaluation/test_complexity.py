"""Counts against the reference's, and against each other."""

import pytest
import torch
from torch import Tensor, nn

from skeattn.apis import build_splits, load_model
from skeattn.engine.config import resolve_config
from skeattn.evaluation.complexity import encoder_cost, sample_batch, training_cost
from skeattn.models.backbones import STGCN
from tests.engine.toy import toy_config
from tests.evaluation.standins import clip_set


class Backbone(nn.Module):
    """An ST-GCN that evaluation can read, with a layer that its features do not depend on."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.net = STGCN(layout='ntu25', base_channels=width, out_channels=256)
        self.other = nn.Linear(5, 5)

    def features(self, data: dict[str, Tensor], source: str) -> Tensor:
        return self.net(data['inputs'].permute(0, 4, 1, 2, 3)).mean(dim=(1, 3, 4))


@pytest.mark.parametrize(('width', 'gmacs', 'parameters'), [(16, 0.76, 821_380), (64, 3.6, 3_083_412)])
def test_encoder_costs_what_the_reference_says(width: int, gmacs: float, parameters: int) -> None:
    """64 frames, two persons; to aggregate before mapping saves 3 % of the narrow network's work."""
    batch = {'inputs': torch.randn(2, 3, 64, 25, 2, generator=torch.Generator().manual_seed(0))}
    cost = encoder_cost(Backbone(width), batch)
    assert cost['parameters'] == parameters
    assert cost['gmacs'] == pytest.approx(gmacs, rel=0.04)


def test_sample_is_spread_over_the_set() -> None:
    assert sample_batch(clip_set(31), clips=4)['index'].tolist() == [0, 10, 20, 30]


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    """(model, clips) of SkeletonCLR."""
    cfg = resolve_config(toy_config(tmp_path_factory.mktemp('complexity'), 'skeletonclr'))
    return load_model(cfg), sample_batch(build_splits(cfg)[0], clips=8)


def test_counting_an_encoder_leaves_the_model_as_it_was(toy) -> None:
    model, batch = toy
    before = {name: value.clone() for name, value in model.state_dict().items()}
    encoder_cost(model, batch)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters()) and not model.training


def test_each_source_counts_the_parameters_that_it_passes(toy) -> None:
    model, batch = toy
    backbone, projector = (sum(p.numel() for p in part.parameters()) for part in
                           (model.encoder_q.backbone, model.encoder_q.projector))  # fmt: skip
    assert encoder_cost(model, batch)['parameters'] == backbone
    assert encoder_cost(model, batch, 'projector')['parameters'] == backbone + projector


def test_a_training_step_is_three_passes_of_the_query_and_one_of_the_key(toy) -> None:
    """Forward once, backward twice as much; the graph convolution gathers once more, the adjacency learns, too."""
    model, batch = toy
    step, encoder = training_cost(model, batch), encoder_cost(model, batch, 'projector')
    assert step['parameters'] == encoder['parameters']
    assert 4 < step['gmacs'] / encoder['gmacs'] < 4.8
