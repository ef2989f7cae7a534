"""An accelerator computes what the CPU computes."""

import copy
import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from skeattn.checkpoint import read_checkpoint
from skeattn.engine import SkeAttnRunner
from skeattn.evaluation import Features, KNNEvaluator, LinearProbe, RidgeProbe, extract_features
from skeattn.models.queue import queues_of
from tests.engine.runs import assert_equal_state, logged
from tests.engine.toy import toy_config, toy_runner, write_set
from tests.models.hot_path import METHODS, batch, method

pytestmark = pytest.mark.gpu
EXACT = dict(rtol=1e-9, atol=1e-9)
UPDATED = dict(rtol=1e-8, atol=1e-8)
"""Of weights after two steps: batch norm of few clips magnifies the rounding of double precision up to 1e7 times."""


def step(model: nn.Module, inputs: dict, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Loss, gradients, optimiser, key encoder and queue."""
    terms = model.loss(inputs)
    optimizer.zero_grad()
    terms['loss'].backward()
    optimizer.step()
    if hasattr(model, 'update_key_encoder'):
        model.update_key_encoder(0.9, buffers=True)
    for queue in queues_of(model):
        queue.flush()
    return terms


def on(device: torch.device, inputs: dict) -> dict:
    """The views on a device, in double precision."""
    return {
        key: on(device, value)
        if isinstance(value, dict)
        else value.to(device, torch.float64 if value.is_floating_point() else value.dtype)
        for key, value in inputs.items()
    }


@pytest.mark.parametrize('name', [name for name in METHODS if not name.startswith('supervised')])
def test_two_steps_equal_those_of_the_cpu(name, device):
    """In double precision: losses, weights, key encoder and queue. The views are drawn once, without dropout."""
    if name.startswith('hiclr') and device.type != 'cpu':
        pytest.skip('the edges that HiCLR drops and adds are drawn on the device')
    plain = {} if name.startswith('slim') else dict(backbone__dropout=0.0)  # SLiM's encoder has no dropout
    reference = method(name, **plain).double()
    model = copy.deepcopy(reference).to(device)
    optimizers = [torch.optim.SGD([p for p in m.parameters() if p.requires_grad], 0.1, 0.9) for m in (reference, model)]
    for iteration in range(2):
        reference.data_preprocessor.begin_iteration(0, iteration)
        data = {key: value.double() if value.is_floating_point() else value for key, value in batch().items()}
        inputs = reference.data_preprocessor(data, training=True)['inputs']
        torch.manual_seed(iteration)  # for HiCLR's edges
        wanted = step(reference, on(torch.device('cpu'), inputs), optimizers[0])
        torch.manual_seed(iteration)
        found = step(model, on(device, inputs), optimizers[1])
        for key in wanted:
            torch.testing.assert_close(found[key].cpu(), wanted[key], **EXACT)
    state = model.state_dict()
    for key, value in reference.state_dict().items():
        torch.testing.assert_close(state[key].cpu(), value, **UPDATED)


@pytest.mark.parametrize('name', [name for name in METHODS if not name.startswith('supervised')])
def test_views_equal_those_of_the_cpu(name, device):
    """GaussianNoise draws on the device, with values of its own: it is left out."""
    reference = method(name)
    for ops in reference.data_preprocessor.ops.values():
        ops.pop('noise', None)
    there = copy.deepcopy(reference.data_preprocessor).to(device)
    views = []
    for preprocessor in (reference.data_preprocessor, there):
        preprocessor.begin_iteration(0, 3)
        views.append(on(torch.device('cpu'), preprocessor(batch(), training=True)['inputs']))
    for key, value in views[0].items():
        pairs = value.items() if isinstance(value, dict) else [(None, value)]
        for stream, clips in pairs:
            found = views[1][key] if stream is None else views[1][key][stream]
            torch.testing.assert_close(found, clips, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('name', [name for name in METHODS if not name.startswith('supervised')])
def test_bfloat16_steps_are_finite(name, device):
    model = method(name).to(device)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1, 0.9)
    for iteration in range(3):
        model.data_preprocessor.begin_iteration(0, iteration)
        inputs = model.data_preprocessor(batch(), training=True)['inputs']
        with torch.autocast(device.type, torch.bfloat16):
            terms = step(model, inputs, optimizer)
        assert all(value.isfinite().all() for value in terms.values())
    assert all(p.isfinite().all() for p in model.parameters())


def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(tmp_path: Path, device, monkeypatch):
    """With deterministic kernels, on the device that the Runner chooses."""
    monkeypatch.setitem(os.environ, 'CUBLAS_WORKSPACE_CONFIG', ':4096:8')
    data = write_set(tmp_path / 'set')

    def train(folder: Path, **options) -> dict:
        (folder / 'run').mkdir(parents=True, exist_ok=True)
        runner = toy_runner(folder, data=data, randomness__deterministic=True, **options)
        assert next(runner.model.parameters()).device.type == device.type
        runner.train()
        return read_checkpoint(folder / 'run/epoch_3.pth')

    try:
        whole = train(tmp_path / 'whole')
        (tmp_path / 'on/run').mkdir(parents=True)
        shutil.copy(tmp_path / 'whole/run/epoch_1.pth', tmp_path / 'on/run')
        assert_equal_state(train(tmp_path / 'on', resume=True), whole)
    finally:
        torch.use_deterministic_algorithms(False)


def test_losses_that_are_replayed_train_as_before(tmp_path: Path, device, monkeypatch):
    """Without dropout, in single precision, for the first epochs, before rounding is magnified.

    On the CPU, which replays nothing, the graph is called as it is.
    """
    monkeypatch.setattr(torch.backends.cudnn, 'allow_tf32', False)
    switch = {'backend': 'aot_eager'} if device.type == 'cpu' else True
    data, same = write_set(tmp_path / 'set'), dict(amp=False, evaluation=None, model__backbone__dropout=0.0)

    def train(name: str, **options) -> list[dict]:
        (tmp_path / name).mkdir()
        toy_runner(tmp_path / name, data=data, default_hooks__checkpoint__save_best=None, **same, **options).train()
        return logged(tmp_path / name / 'run')

    replayed, eager = train('replayed', compile=switch), train('eager')
    assert len(replayed) == len(eager) == 9
    for found, wanted in zip(replayed[:6], eager[:6], strict=True):
        losses = [key for key in wanted if key.startswith(('loss', 'L_'))]
        assert losses and [found[key] for key in losses] == pytest.approx([wanted[key] for key in losses], rel=1e-3)


def test_evaluation_equals_that_of_the_cpu(tmp_path: Path, device):
    """Features and the accuracies of KNN and probes, with the clips resident on the device."""
    cfg = toy_config(tmp_path)
    runner = SkeAttnRunner.from_cfg(cfg)
    model, train = runner.model, runner.train_dataloader.dataset
    here = copy.deepcopy(model).cpu().double()
    found = extract_features(model.to(device), train)
    host = copy.copy(train)
    host.device, host._resident = 'cpu', None
    wanted = extract_features(here.float(), host)
    torch.testing.assert_close(found.x, wanted.x, rtol=1e-3, atol=1e-4)
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(300) % 5
    x = torch.randn(300, 16, generator=generator) + 2 * nn.functional.one_hot(labels, 16)
    subjects, names = torch.arange(300) % 7, [f'c{i}' for i in range(300)]
    bank, test = (Features(x[i], labels[i], subjects[i], names) for i in (slice(0, 200), slice(200, 300)))
    for evaluator in (KNNEvaluator, LinearProbe, RidgeProbe):
        metrics = [evaluator(device=name)(bank, test) for name in ('cpu', str(device))]
        assert metrics[0].keys() == metrics[1].keys()
        assert all(abs(metrics[0][key] - metrics[1][key]) <= 1 for key in metrics[0]), json.dumps(metrics)
