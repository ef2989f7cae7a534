"""Counts against the reference's, and against each other."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn

from skeattn.apis import build_splits, load_model
from skeattn.engine.config import resolve_config
from skeattn.evaluation.complexity import SavedActivations, encoder_cost, gmacs_by_module, sample_batch, training_cost
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


@pytest.mark.slow
@pytest.mark.parametrize(('width', 'gmacs', 'parameters'), [(16, 0.76, 821_380), (64, 3.6, 3_083_412)])
def test_encoder_costs_what_the_reference_reports(width: int, gmacs: float, parameters: int) -> None:
    """64 frames, two persons; to aggregate before mapping saves 3 % of the narrow network's work."""
    batch = {'inputs': torch.randn(2, 3, 64, 25, 2, generator=torch.Generator().manual_seed(0))}
    cost = encoder_cost(Backbone(width), batch)
    assert cost['parameters'] == parameters
    assert cost['gmacs'] == pytest.approx(gmacs, rel=0.04)


def test_weights_of_a_frozen_teacher_that_is_evaluated_count() -> None:
    batch = {'inputs': torch.zeros(2, 3, 16, 25, 2)}
    free, teacher = Backbone(4), Backbone(4)
    teacher.net.requires_grad_(False)
    assert encoder_cost(teacher, batch) == encoder_cost(free, batch)
    assert not any(p.requires_grad for p in teacher.net.parameters())
    assert all(p.requires_grad for p in teacher.other.parameters())


def test_sample_is_spread_over_the_set() -> None:
    assert sample_batch(clip_set(31), clips=4)['index'].tolist() == [0, 10, 20, 30]


@pytest.fixture(scope='module')
def toy(tmp_path_factory):
    """(model, clips) of SkeletonCLR."""
    cfg = resolve_config(toy_config(tmp_path_factory.mktemp('complexity'), 'skeletonclr'))
    return load_model(cfg), sample_batch(build_splits(cfg)[0], clips=8)


@pytest.mark.slow
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
    step, encoder = training_cost(deepcopy(model), batch), encoder_cost(model, batch, 'projector')
    assert step['parameters'] == encoder['parameters']
    assert 4 < step['gmacs'] / encoder['gmacs'] < 4.8


@pytest.mark.slow
def test_a_training_step_on_crops_of_native_clips_costs_what_one_on_clips_does(toy, tmp_path) -> None:
    _, batch = toy
    crop = {'_delete_': True, 'type': 'CropResize', 'min_frames': 8}
    cfg = toy_config(tmp_path, 'skeletonclr', model__data_preprocessor__views__query__crop=crop)
    assert training_cost(load_model(cfg), batch) == training_cost(deepcopy(toy[0]), batch)


def test_work_by_module_adds_up_to_the_whole(toy) -> None:
    model, batch = toy
    parts, whole = gmacs_by_module(model, batch, 'projector'), encoder_cost(model, batch, 'projector')['gmacs']
    assert parts[''] == pytest.approx(whole)
    assert parts['encoder_q'] == pytest.approx(whole)
    assert parts['encoder_q.backbone'] + parts['encoder_q.projector'] == pytest.approx(whole)
    assert 'encoder_k' not in parts and 'encoder_q.projector' not in gmacs_by_module(model, batch)


def test_a_training_step_passes_the_key_encoder_forward_only(toy) -> None:
    model, batch = toy
    step, features = gmacs_by_module(deepcopy(model), batch, training=True), gmacs_by_module(model, batch, 'projector')
    assert step['encoder_k'] == pytest.approx(features['encoder_q'])
    assert step['encoder_q'] > 2.9 * features['encoder_q']
    assert sum(step[part] for part in ('encoder_q', 'encoder_k')) <= step[''] * (1 + 1e-9)


class Squares(nn.Module):
    """A layer three times, as a method that trains; two passes are done with before the last begins."""

    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(100, 100, bias=False)
        self.data_preprocessor = Views()

    def forward(self, inputs: Tensor, mode: str) -> dict[str, Tensor]:
        for _ in range(2):
            self.fc(inputs).square().sum().backward()
        y = self.fc(inputs)  # keeps its input and the weights
        return {'loss': (y * y).sum()}  # y twice, one storage

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict]:
        return losses['loss'], losses


class Views(nn.Module):
    def begin_iteration(self, seed: int, iteration: int) -> None: ...

    def forward(self, batch: dict[str, Tensor], training: bool) -> dict[str, Tensor]:
        return batch


def saved_activations(model: nn.Module, batch: dict[str, Tensor]) -> int:
    """Of a training step, whose work is counted meanwhile."""
    saved = SavedActivations(model)
    with saved:
        training_cost(model, batch)
    return saved.peak


@pytest.mark.parametrize('clips', [1, 7])
def test_saved_activations_are_what_autograd_holds_at_its_peak(clips: int) -> None:
    """The input and one layer's output: neither weights nor a storage a second time, nor what was freed before."""
    assert saved_activations(Squares(), {'inputs': torch.randn(clips, 100)}) == 2 * clips * 100 * 4


@pytest.mark.slow
def test_saved_activations_grow_with_the_batch(toy) -> None:
    """By the same amount for each clip; matrices of weights, which layers also keep, are saved once."""
    model, batch = toy
    saved = [
        saved_activations(deepcopy(model), {key: value[:clips] for key, value in batch.items()}) for clips in (2, 4, 8)
    ]
    assert saved[2] - saved[1] == pytest.approx(2 * (saved[1] - saved[0]), rel=0.1) and saved[1] > saved[0]
