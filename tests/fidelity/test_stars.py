"""STARS: two steps of its tuning equal the release's, and the paper's loss its symmetric gradient."""

import pytest
import torch
from mmengine.hooks import Hook

from skeattn.engine.optim import LayerDecayConstructor
from skeattn.models import STARS
from skeattn.models.losses import l2_normalize
from tests.fidelity.golden import Golden, assert_close, to_model
from tests.fidelity.steps import RecordingOptimWrapper, ReplayPreprocessor, train_steps


@pytest.fixture
def golden():
    return Golden('stars_step')


def stars(golden, **changes):
    meta = golden.meta
    size = dict(out_channels=meta['D'], depth=meta['depth'], patch=meta['patch'], num_heads=meta['heads'])
    learnt = dict(
        position='learnt', num_frames=meta['T'], norm_input=False, dropout=0.0, ratio=float(meta['mlp_ratio'])
    )
    model = STARS(
        backbone=dict(type='SkeletonTransformer', layout='ntu25', **size, **learnt),
        predictor=dict(
            type='MLP', hidden_channels=meta['predictor_hidden'], norm_cfg=dict(type='BN1d'), last_bias=True
        ),
        queue=dict(size=meta['K']),
        temperature=meta['temp'],
        **changes,
    )
    state = golden.converted('state0', 'stars')
    model.load_state_dict({**state, 'queue.pointer': golden['queue_ptr0']})
    model.data_preprocessor = ReplayPreprocessor(golden)
    return model.train()


def wrapper(model, meta, kind=RecordingOptimWrapper):
    """The optimiser of the configs with the golden case's numbers."""
    adamw = dict(type='AdamW', lr=meta['base_lr'], **{key: meta[key] for key in ('betas', 'eps', 'weight_decay')})
    clip = dict(type='each', max_norm=meta['clip'])
    settings = dict(type=kind, optimizer=adamw, clip_grad=clip)
    return LayerDecayConstructor(settings, dict(layer_decay=meta['layer_decay']))(model)


def test_the_tuned_parameters_and_their_rates(golden):
    model = stars(golden)
    names = {parameter: name for name, parameter in model.named_parameters()}
    groups = wrapper(model, golden.meta).optimizer.param_groups
    found = {names[p]: (group['lr'], group['weight_decay']) for group in groups for p in group['params']}
    theirs = dict(zip(golden.packed('state0'), golden.converted('state0', 'stars'), strict=True))
    columns = (golden.arrays[key].tolist() for key in ('tuned', 'tuned_lr', 'tuned_weight_decay'))
    expected = {theirs[name]: (lr, decay) for name, lr, decay in zip(*columns, strict=True)}
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, rel=1e-12), name


class Rounding(Hook):
    """Gives each step the gradient of the last norm's bias of the release."""

    def __init__(self, golden):
        self.golden = golden

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        name = 'encoder.backbone.norm.bias'
        gradient = self.golden.converted(f'step{batch_idx + 1}/grad', 'stars')[name]
        runner.optim_wrapper.rounding = runner.model.get_parameter(name), gradient


class ReplayRounding(RecordingOptimWrapper):
    """Steps with the release's rounding errors where the gradient is 0 but for these.

    That of the last norm's bias, since a BatchNorm follows. AdamW divides them by its eps of 1e-8.
    """

    def step(self, **kwargs):
        parameter, golden = self.rounding
        assert max(parameter.grad.abs().max(), golden.abs().max()) < 1e-11
        parameter.grad.copy_(golden)
        super().step(**kwargs)


def test_two_released_steps_and_the_evaluation(golden):
    model = stars(golden, symmetric=False)
    optim_wrapper = wrapper(model, golden.meta, ReplayRounding)
    terms = {'loss': 'loss_total', 'L_query': 'loss_q', 'L_key': 'loss_k'}
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for step, logs, _ in train_steps(model, golden, [Rounding(golden)], optim_wrapper=optim_wrapper):
        for ours, theirs in terms.items():
            assert_close(logs[ours], golden[f'step{step}/{theirs}'], f'step {step} {ours}')
        check_gradients(golden, model, optim_wrapper, f'step{step}/grad')
        moved = golden.converted(f'step{step}/state', 'stars')
        moved |= {'queue.keys': golden[f'step{step}/queue'], 'queue.ids': golden[f'step{step}/queue_id']}
        moved |= {'queue.pointer': golden[f'step{step}/queue_ptr'].reshape(())}
        for name, value in model.state_dict().items():
            expected = moved.get(name, before[name])
            assert_close(value.double(), expected.double(), f'step {step} {name}')
    model.eval()
    x = to_model(golden['step2/xq'])
    for source, name in (('backbone', 'feature'), ('projector', 'projection')):
        with torch.no_grad():
            assert_close(model.embed(x, source), golden[f'eval/{name}'], name)


def test_the_papers_loss_has_the_symmetric_gradient(golden):
    """The loss itself is that of the release."""
    model = stars(golden)
    optim_wrapper = wrapper(model, golden.meta)
    _, logs, _ = next(train_steps(model, golden, [], steps=1, optim_wrapper=optim_wrapper))
    assert_close(logs['loss'], golden['step1/loss_total'], 'loss')
    check_gradients(golden, model, optim_wrapper, 'symmetric/grad')


def check_gradients(golden, model, optim_wrapper, group):
    """Those of the tuned parameters, before clipping."""
    kept = optim_wrapper.gradients
    expected = golden.converted(group, 'stars')
    assert {name for name, p in model.named_parameters() if p in kept} == expected.keys()
    for name, parameter in model.named_parameters():
        if parameter in kept:
            assert_close(kept[parameter], expected[name], f'{group} of {name}')


def test_embeddings_similarities_and_neighbours_of_the_first_step(golden):
    model, ids = stars(golden), golden['step1/ids']
    for view, other in (('q', 'k'), ('k', 'q')):
        x = to_model(golden[f'step1/x{view}'])
        assert_close(model.encoder(x), golden[f'step1/feature_{view}'], 'feature')
        z, p = model.embeddings(x)
        assert_close(z, golden[f'step1/projection_{view}'], 'projection')
        assert_close(p, golden[f'step1/prediction_{view}'], 'prediction')
        assert_close(model.queue.similarity(z, ids).clamp(min=-1), golden[f'step1/similarity_{view}'], 'similarity')
        neighbours = model.queue.nearest(z, ids)
        assert torch.equal(neighbours, model.queue.keys[:, golden[f'step1/neighbour_{view}'].long()].T)
        predictions = l2_normalize(golden[f'step1/prediction_{other}'])
        assert_close(model.neighbour_loss(neighbours, predictions), golden[f'step1/loss_{other}'], 'loss')
