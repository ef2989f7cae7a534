"""Our operations, given the released draws, give the released clips."""

import pytest
import torch

from skeattn.augment import Crop, Shear, SkeleMix
from skeattn.augment.functional import derive_stream
from skeattn.skeletons import get_layout
from tests.fidelity.golden import Golden, assert_close


def draws(golden, prefix=''):
    names = {key[len(prefix) :].split('/')[0] for key in golden.arrays.files if key.startswith(f'{prefix}draw')}
    assert names
    return sorted(names)


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
