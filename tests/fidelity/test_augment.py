"""With the released draws, our operations give the released clips."""

import json

import pytest
import torch

from skeattn.augment import (
    AxisMask,
    ClipSpec,
    Crop,
    CropResize,
    GaussianBlur,
    GaussianNoise,
    JointCorruption,
    RandomRotation,
    Rotate,
    Shear,
    SkeleMix,
    SpatialFlip,
    TemporalFlip,
    generator,
)
from skeattn.augment.functional import blur_weights, derive_stream, rotation_matrix, shear_matrix
from skeattn.skeletons import get_layout
from tests.fidelity.golden import Golden, assert_close


def draws(golden, prefix=''):
    names = {key[len(prefix) :].split('/')[0] for key in golden.arrays.files if key.startswith(f'{prefix}draw')}
    assert names
    return sorted(names)


def one(value):
    """A released draw as the parameter of a batch of one."""
    return torch.as_tensor(value)[None]


def with_noise(op, noise):
    """``op`` with the released noise instead of its own."""
    op.noise = lambda seeds, like: one(noise) / op.std
    return op


def test_shear():
    golden = Golden('augment_shear')
    for draw in draws(golden):
        op = Shear(amplitude=float(golden[f'{draw}/amplitude']))
        factors = torch.cat([golden[f'{draw}/s1'], golden[f'{draw}/s2']])[None]
        out = op.apply(golden['x'][None], {'factors': factors}, partners=None)
        assert_close(out[0], golden[f'{draw}/out'], draw)


def test_crop():
    golden = Golden('augment_crop')
    for draw in draws(golden):
        op = Crop(ratio=int(golden[f'{draw}/padding_ratio']))
        start = golden[f'{draw}/frame_start'].reshape(1).long()
        out = op.apply(golden['x'][None], {'start': start}, partners=None)
        assert_close(out[0], golden[f'{draw}/out'], draw)


def test_crop_resize():
    golden = Golden('crop_resize')
    cases = sorted({key.split('/')[0] for key in golden.arrays.files if '/' in key})
    assert len(cases) == 11
    for case in cases:
        n, T, p = int(golden[f'{case}/valid']), int(golden[f'{case}/window']), golden[f'{case}/p'].double()
        start, length = int(golden[f'{case}/start']), int(golden[f'{case}/length'])
        op = CropResize(min_frames=golden.meta['minimum'], place='random' if 'random' in case else 'centre')
        params = op.sample(1, ClipSpec(T, get_layout('ntu25'), 1), generator(0, 0))
        params |= {'share': one(p), 'start': one((start + 0.5) / (n - length + 1)), 'frames': one(n)}
        assert [int(found) for found in op.piece(params, one(n))] == [start, length], case
        assert_close(op.apply(golden['x'][None], params, partners=None)[0], golden[f'{case}/out'], case)


def test_rotate():
    golden = Golden('augment_rotate')
    for draw in draws(golden):
        out = Rotate().apply(golden['x'][None], {'degrees': one(golden[f'{draw}/angles_deg'])}, partners=None)
        assert_close(out[0], golden[f'{draw}/out'], draw)


def test_random_rotation():
    golden = Golden('rotation3')
    op = RandomRotation()
    assert abs(op.degrees[0] - torch.tensor(golden.meta['theta']).rad2deg()) < 1e-5
    for draw in draws(golden):
        degrees = one(golden[f'{draw}/angles']).rad2deg()
        assert_close(rotation_matrix(degrees.deg2rad())[0], golden[f'{draw}/matrix'], draw)
        assert_close(op.apply(golden['x'][None], {'degrees': degrees}, partners=None)[0], golden[f'{draw}/out'], draw)


def test_joint_corruption():
    golden = Golden('joint_corruption')
    op = JointCorruption()
    assert op.zero_probability == golden.meta['p_zero']
    for draw in draws(golden):
        joints = torch.zeros(1, 25, dtype=torch.bool)
        joints[0, golden[f'{draw}/joints'].long()] = True
        assert joints.sum() == round(25 * op.ratio) == golden.meta['joints']
        zero = golden[f'{draw}/u'] < op.zero_probability
        matrix = torch.zeros(3, 3, dtype=torch.float64) if zero else golden[f'{draw}/matrix']
        out = op.apply(golden['x'][None], {'joints': joints, 'matrix': one(matrix)}, partners=None)
        assert_close(out[0], golden[f'{draw}/out'], draw)


def test_shear_of_the_contrastive_line():
    """Its six entries go by rows; ours, AimCLR's, by columns."""
    golden = Golden('joint_corruption')
    cases = sorted({key.split('/')[0] for key in golden.arrays.files if key.startswith('shear')})
    for case in cases:
        e = golden[f'{case}/entries']
        factors = one(torch.stack([e[0], e[2], e[4], e[1], e[3], e[5]]))
        matrix = golden[f'{case}/matrix']
        assert_close(shear_matrix(factors)[0], matrix, case)
        out = Shear(amplitude=1).apply(golden['x'][None], {'factors': factors}, partners=None)
        assert_close(out[0], golden[f'{case}/out'], case)
    assert cases


@pytest.mark.parametrize(('name', 'op'), [('spatial', SpatialFlip(mirror=False)), ('time', TemporalFlip())])
def test_flips(name, op):
    golden = Golden('augment_flip')
    x = golden['x']
    params = op.sample(1, ClipSpec(x.shape[1], get_layout('ntu25'), 1), generator(0, 0))
    assert op.probability == golden['p']
    assert_close(op.apply(x[None], params, partners=None)[0], golden[f'{name}_always/out'], name)
    for draw in range(4):
        applies = {'applies': one(golden[f'{name}{draw}/u'] < op.probability)}
        out = op.apply(x[None], params | applies, partners=None)
        assert_close(out[0], golden[f'{name}{draw}/out'], f'{name}{draw}')


def test_flip_exchanges_the_released_joints():
    assert Golden('augment_flip')['joint_order'].tolist() == list(get_layout('ntu25').mirrored)


def test_noise():
    golden = Golden('augment_noise')
    op = GaussianNoise(absent=True)
    assert (op.std, op.probability) == (golden['std'], golden['p'])
    for draw in draws(golden):
        applied = bool(golden[f'{draw}/u'] < op.probability)
        with_noise(op, golden[f'{draw}/noise'] if applied else torch.zeros_like(golden['x']))
        out = op.apply(golden['x'][None], {'seed': one(0), 'applies': one(applied)}, partners=None)
        assert_close(out[0], golden[f'{draw}/out'], draw)


def test_blur():
    golden = Golden('augment_blur')
    op = GaussianBlur(normalise=False)
    for draw in draws(golden):
        sigma = one(golden[f'{draw}/sigma'])
        assert_close(blur_weights(sigma, 31, op.taps)[0, 15, 8:23], golden[f'{draw}/kernel'], draw)
        applies = one(golden[f'{draw}/u'] < op.probability)
        out = op.apply(golden['x'][None], {'sigma': sigma, 'applies': applies}, partners=None)
        assert_close(out[0], golden[f'{draw}/out'], draw)


def test_axis_mask():
    golden = Golden('augment_axis_mask')
    op = AxisMask()
    for draw in draws(golden):
        applies = golden[f'{draw}/u'] < op.probability
        assert applies == (golden[f'{draw}/axis'] >= 0)
        out = op.apply(golden['x'][None], {'axis': one(golden[f'{draw}/axis']), 'applies': one(applies)}, partners=None)
        assert_close(out[0], golden[f'{draw}/out'], draw)


class Log:
    """The released draws of one generator in their order."""

    def __init__(self, golden, key):
        self.draws = iter(json.loads(str(golden.arrays[key])))

    def __call__(self, function):
        name, value = next(self.draws)
        assert name == function
        return value

    @property
    def used_up(self):
        return next(self.draws, None) is None


@pytest.mark.parametrize('draw', ['draw0', 'draw1', 'draw2'])
def test_strong_pipeline(draw):
    """AimCLR's extreme view, all draws taken from the release's log."""
    golden = Golden('augment_strong_pipeline')
    x = golden['x'][None]
    spec = ClipSpec(x.shape[2], get_layout('ntu25'), 1)
    python, numpy = Log(golden, f'{draw}/python_draws'), Log(golden, f'{draw}/numpy_draws')

    def applies(log, function):
        return {'applies': one(log(function) < 0.5)}

    def spatial_flip():
        op = SpatialFlip(mirror=False)
        return op, op.sample(1, spec, generator(0, 0)) | applies(python, 'random')

    def rotate():
        python('randint')
        return Rotate(), {'degrees': torch.tensor([[python('uniform') for _ in range(3)]])}

    def noise():
        params = {'seed': one(0)} | applies(python, 'random')
        if params['applies']:
            numpy('normal')
        drawn = golden[f'{draw}/noise'] if params['applies'] else torch.zeros_like(x[0])
        return with_noise(GaussianNoise(absent=True), drawn), params

    def blur():
        params = {'sigma': one(python('uniform'))} | applies(numpy, 'random_sample')
        return GaussianBlur(normalise=False), params

    def axis_mask():
        params = applies(python, 'random')
        return AxisMask(), params | {'axis': one(python('randint') if params['applies'] else 0)}

    def temporal_flip():
        return TemporalFlip(), applies(python, 'random')

    x = Crop(ratio=6).apply(x, {'start': one(numpy('randint'))}, partners=None)
    x = Shear().apply(x, {'factors': torch.tensor([[python('uniform') for _ in range(6)]])}, partners=None)
    operations = dict(zip('123456', (spatial_flip, rotate, noise, blur, axis_mask, temporal_flip), strict=True))
    for digit in str(golden.arrays[f'{draw}/method']):
        op, params = operations[digit]()
        x = op.apply(x, params, partners=None)
    assert python.used_up and numpy.used_up
    assert_close(x[0], golden[f'{draw}/out'], draw)


@pytest.mark.parametrize('release', ['SkeAttnCLR', 'SkeleMixCLR'])
def test_skelemix_and_its_feature_mask(release):
    golden, layout = Golden('augment_skelemix'), get_layout('ntu25')
    x = golden['x']
    lengths = golden[f'{release}/parts_len'].tolist()
    flat = golden[f'{release}/parts_flat'].long().split(lengths)
    assert [sorted(part.tolist()) for part in flat] == [sorted(part) for part in layout.parts.values()]
    for draw in draws(golden, f'{release}/'):
        case = f'{release}/{draw}'
        joints = torch.zeros(len(x), layout.num_joints, dtype=torch.bool)
        for part in golden[f'{case}/parts'].long().tolist():
            joints[:, list(list(layout.parts.values())[part])] = True
        params = {
            'joints': joints,
            'first_unit': golden[f'{case}/first_unit'].long().expand(len(x)),
            'num_units': golden[f'{case}/num_units'].long().expand(len(x)),
            'shift': torch.zeros(len(x)),
        }
        op = SkeleMix(unit_frames=4)
        partners = golden[f'{case}/partner'].long()
        assert_close(op.apply(x, params, lambda shift, p=partners: x[p]), golden[f'{case}/out'], case)
        assert torch.equal(op.mask(params, x.shape[2])[0], golden[f'{case}/grid'].bool())


@pytest.mark.parametrize('stream', ['joint', 'motion', 'bone'])
def test_streams(stream):
    golden = Golden('augment_views')
    assert_close(derive_stream(golden['x'], stream, get_layout('ntu25')), golden[stream], stream)
