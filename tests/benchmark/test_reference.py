"""The reference step computes what the releases compute, and what we compute."""

import numpy as np
import pytest
import torch

from skeattn.augment import functional as F
from skeattn.benchmark.reference import views as reference_views
from skeattn.benchmark.reference.methods import METHODS, sgd, train_step
from skeattn.models import AimCLR, SkeAttnCLR, SkeletonCLR
from skeattn.models.queue import queues_of
from skeattn.models.released_weights import convert_released
from skeattn.skeletons import get_layout
from tests.fidelity.golden import Golden, assert_close
from tests.fidelity.steps import VIEWS

OURS = {'SkeAttnCLR': SkeAttnCLR, 'SkeletonCLR': SkeletonCLR, 'AimCLR': AimCLR}
TINY = dict(width=2, channels=8, embedding=6, queue=12, dropout=0.0)
TERMS = {
    'SkeAttnCLR': {'loss': 'loss_total', 'L_global': 'loss_info', 'L_s': 'loss_s', 'L_ns': 'loss_ns'},
    'SkeletonCLR': {'loss': 'loss_total'},
    'AimCLR': {
        'loss': 'loss_total',
        'L_info': 'loss_info',
        'L_d_extreme': 'loss_ddm_extreme',
        'L_d_drop': 'loss_ddm_extreme_drop',
    },
}


@pytest.fixture(autouse=True)
def double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def golden_model(golden, method):
    meta = golden.meta
    sizes = dict(width=meta['hc'], channels=meta['hd'], embedding=meta['fd'], queue=meta['K'], dropout=0.0)
    more = dict(mu=meta['mu'], heads=meta['heads'], classes=5) if method == 'SkeAttnCLR' else {}
    model = METHODS[method](temperature=meta['temp'], momentum=meta['m'], **sizes, **more)
    model.load_state_dict(golden.packed('state0'))
    return model.train()


def golden_views(golden, method, step):
    views = {
        ours: golden[f'step{step}/{name}'] for name, ours in VIEWS.items() if f'step{step}/{name}' in golden.arrays
    }
    if method == 'SkeAttnCLR':
        shift, first, units = (int(golden[f'mix{step}/{name}']) for name in ('shift', 'first_unit', 'num_units'))
        joints = golden[f'mix{step}/grid'].any(dim=0).nonzero().flatten().tolist()
        views['mix'] = reference_views.mixed(views['query'], shift, joints, first, units)
        assert_close(views['mix'], golden[f'mix{step}/mixed'], 'mixed clips')
    return views


@pytest.mark.parametrize(('method', 'steps'), [('SkeAttnCLR', 2), ('SkeletonCLR', 2), ('AimCLR', 3)])
def test_golden_steps(method, steps):
    golden = Golden(f'{method.lower()}_step')
    meta, model = golden.meta, golden_model(golden, method)
    optimizer = sgd(model, meta['lr'], meta['weight_decay'])
    for step in range(1, steps + 1):
        if method == 'SkeAttnCLR':
            model.momentum = float(golden[f'step{step}/momentum'])
        elif method == 'AimCLR' and step > meta['mining_epoch']:
            model.top_k = meta['topk']
        logs = train_step(model, optimizer, golden_views(golden, method, step))
        for ours, theirs in TERMS[method].items():
            assert_close(torch.tensor(logs[ours]), golden[f'step{step}/{theirs}'], f'step {step} {ours}')
        gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        released = golden.packed(f'step{step}/grad')
        assert gradients.keys() == released.keys()
        for name, gradient in released.items():
            assert_close(gradients[name], gradient, f'step {step} gradient of {name}')
        state = model.state_dict()
        expected = golden.packed(f'step{step}/state')
        assert state.keys() == expected.keys()
        for name, value in expected.items():
            assert_close(state[name].double(), value.double(), f'step {step} {name}')


def our_model(method, reference):
    """Our class with the reference's weights."""
    graph = 'agcn' if method == 'SkeAttnCLR' else 'spatial'
    width = dict(base_channels=TINY['width'], out_channels=TINY['channels'])
    mlp = dict(type='MLP', hidden_channels=TINY['channels'], out_channels=TINY['embedding'])
    released = dict(mlp, norm_cfg=dict(type='BN1d')) if method == 'SkeAttnCLR' else dict(mlp, bias=True)
    more = dict(mhsam=dict(type='MHSAM', num_heads=2), heads='released', predictor=released, project_mix=True)
    ours = OURS[method](
        backbone=dict(type='STGCN', layout='ntu25', graph=graph, dropout=0.0, **width),
        projector=released,
        queue=dict(size=TINY['queue']),
        loss=dict(type='InfoNCE', temperature=reference.temperature),
        **(more if method == 'SkeAttnCLR' else {}),
    )
    ours.load_state_dict(convert_released(reference.state_dict(), method.lower()).state)
    return ours.train()


def our_step(model, method, optimizer, views, momentum):
    """A step of ours in the order of the method's release."""
    if method != 'SkeAttnCLR':
        model.update_key_encoder(momentum, buffers=False)
    losses = model({name: view.permute(0, 4, 1, 2, 3) for name, view in views.items()}, mode='loss')
    optimizer.zero_grad()
    losses['loss'].backward()
    optimizer.step()
    if method == 'SkeAttnCLR':
        model.update_key_encoder(momentum, buffers=True)
    for queue in queues_of(model):
        queue.flush()
    return losses


@pytest.mark.parametrize('method', METHODS)
def test_equal_to_our_step(method):
    torch.manual_seed(0)
    more = dict(heads=2, classes=3) if method == 'SkeAttnCLR' else {}
    reference = METHODS[method](**TINY, **more).train()
    with torch.no_grad():  # no parameter at a special value
        for p in reference.parameters():
            p.add_(0.1 * torch.randn_like(p))
    ours = our_model(method, reference)
    theirs_sgd = sgd(reference)
    ours_sgd = torch.optim.SGD([p for p in ours.parameters() if p.requires_grad], 0.1, 0.9, weight_decay=1e-4)
    for step in range(2):
        ours.top_k, ours.mining = 2, step > 0
        reference.top_k = 2 * ours.mining
        views = {name: torch.randn(3, 3, 8, 25, 2) for name in ('query', 'key', 'mix', 'extreme')}
        logs = train_step(reference, theirs_sgd, views)
        losses = our_step(ours, method, ours_sgd, views, reference.momentum)
        for name, value in logs.items():
            assert_close(losses[name], torch.tensor(value), f'step {step} {name}')
        gradients = {name: p.grad for name, p in reference.named_parameters() if p.grad is not None}
        parameters = dict(ours.named_parameters())
        for name, gradient in convert_released(gradients, method.lower()).state.items():
            assert_close(parameters[name].grad, gradient, f'step {step} gradient of {name}')
        state = ours.state_dict()
        for name, value in convert_released(reference.state_dict(), method.lower()).state.items():
            assert_close(state[name].double(), value.double(), f'step {step} {name}')


CLIP = np.random.default_rng(0).normal(size=(3, 12, 25, 2))
ANGLES, FACTORS, SIGMA = np.array([0.3, -0.2, 0.5]), np.array([0.1, -0.2, 0.3, 0.4, -0.1, 0.2]), 1.2
# Row by row beside the diagonal -> our order, down the columns.
OUR_ORDER = [0, 2, 4, 1, 3, 5]
OPERATIONS = {
    'crop': (lambda x: reference_views.crop(x, 1, 3), lambda x: F.crop(x, torch.tensor([1]), 3)),
    'shear': (
        lambda x: reference_views.shear(x, reference_views.shear_matrix(FACTORS)),
        lambda x: F.linear_map(x, F.shear_matrix(torch.from_numpy(FACTORS[OUR_ORDER])[None])),
    ),
    'rotate': (
        lambda x: reference_views.rotate(x, ANGLES),
        lambda x: F.linear_map(x, F.rotation_matrix(torch.from_numpy(ANGLES)[None])),
    ),
    'blur': (
        lambda x: reference_views.blur(x, SIGMA),
        lambda x: F.blend_frames(x, F.blur_weights(torch.tensor([SIGMA]), 12, reference_views.TAPS)),
    ),
}


@pytest.mark.parametrize('name', OPERATIONS)
def test_operations_on_a_clip_equal_ours_on_a_batch(name):
    reference, ours = OPERATIONS[name]
    expected = ours(torch.from_numpy(CLIP)[None])[0]
    assert_close(torch.from_numpy(np.ascontiguousarray(reference(CLIP))), expected, name, tolerance=1e-12)
    assert not np.allclose(reference(CLIP), CLIP)


def test_views_of_a_batch():
    clips = np.random.default_rng(1).normal(size=(5, 3, 32, 25, 2)).astype(np.float32)
    for method, names in (('SkeletonCLR', set()), ('AimCLR', {'extreme'}), ('SkeAttnCLR', {'mix'})):
        feeder = reference_views.Feeder(clips, method)
        assert feeder.batch([0])['query'].dtype == torch.float64
        views = feeder.views([4, 0, 2])
        assert views.keys() == {'query', 'key'} | names
        for view in views.values():
            assert view.shape == (3, 3, 32, 25, 2) and view.dtype == torch.float32 and view.isfinite().all()
        assert not torch.equal(views['query'], views['key'])


def test_a_mixed_clip_has_a_span_of_some_parts_of_its_partner():
    clips = torch.arange(4.0)[:, None, None, None, None].expand(4, 3, 32, 25, 2)
    out = reference_views.draw_mix(clips, np.random.default_rng(0), units=(2, 3))
    changed = out != clips
    frames = changed[0, 0, :, :, 0].any(dim=1)
    joints = set(changed[0, 0, :, :, 0].any(dim=0).nonzero().flatten().tolist())
    assert frames.sum() in (8, 12) and joints == {
        joint for part in get_layout('ntu25').parts.values() if joints.issuperset(part) for joint in part
    }
    partners = {float(out[i][changed[i]].unique()) - i for i in range(4)}
    assert len({int(shift) % 4 for shift in partners}) == 1
