"""Views that start from clips at their native length."""

import pytest
import torch

from skeattn.augment import Augment, CropResize, CropSample
from skeattn.augment.seeding import generator
from skeattn.datasets.native import at_full_length
from skeattn.errors import ConfigError
from skeattn.models.preprocessor import SkeletonPreprocessor
from skeattn.registry import AUGMENTS
from tests.augment.clips import clips, spec

FRAMES = torch.tensor([30, 9, 17, 30, 12, 25])
CROP = {'type': 'CropResize', 'share': (0.4, 0.9), 'min_frames': 5}


def batch():
    x = clips(6, 30)
    x.transpose(1, 2)[torch.arange(30) >= FRAMES[:, None]] = 0
    return {'inputs': clips(6, 16), 'native': x, 'frames': FRAMES}


def drawn(views, data=None, stream='joint', iteration=4):
    preprocessor = SkeletonPreprocessor('ntu25', stream, views)
    preprocessor.begin_iteration(1, iteration)
    return preprocessor(data or batch(), training=True)['inputs']


def alone(data, name='query', **options):
    """The native clips under CropResize alone, as the model receives them."""
    op = CropResize((0.4, 0.9), 5, **options)
    params = op.draw(spec(6, 16), generator(1, 4, name, 'crop')) | {'frames': FRAMES}
    return op.apply(data['native'], params, None).permute(0, 4, 1, 2, 3)


def test_a_view_that_begins_with_crop_resize_starts_from_native_clips_and_the_others_from_the_inputs():
    data = batch()
    views = drawn({'query': {'crop': CROP}, 'key': {'like': 'query'}, 'plain': {}})
    assert torch.equal(views['query'], alone(data)) and torch.equal(views['key'], alone(data, 'key'))
    assert torch.equal(views['plain'], data['inputs'].permute(0, 4, 1, 2, 3))
    assert not torch.equal(views['query'], views['key'])


@pytest.mark.parametrize('frames', [None, 12])
def test_later_operations_and_views_have_its_number_of_frames(frames):
    mix = {'type': 'SkeleMix', 'units': (1, 2)}
    mask = {'type': 'RandomJointMask', 'ratio': 0.2, 'fill': 5.0, 'on': 'stream'}
    views = {
        'query': {'crop': {**CROP, 'num_frames': frames}, 'shift': {'type': 'Crop'}, 'mask': mask},
        'mix': {'source': 'query', 'mix': mix},
        'own': {'source': 'clip', 'mix': mix},
    }
    inputs, T = drawn(views), frames or 16
    assert inputs['query'].shape == inputs['mix'].shape == (6, 2, 3, T, 25)
    assert inputs['query.masked'].shape == (6, T, 25) and inputs['mix.grid'].shape == (6, T // 4, 25)
    assert inputs['own'].shape == (6, 2, 3, 16, 25) and inputs['own.grid'].shape == (6, 4, 25)
    pasted = inputs['mix.grid'].repeat_interleave(4, dim=1)[:, None, None].expand_as(inputs['mix'])
    views['query'].pop('mask')
    query = drawn(views)['query']
    partner = query[(torch.arange(6) + inputs['mix.shift']) % 6]
    assert torch.equal(inputs['mix'], torch.where(pasted, partner, query))


def test_half_of_a_global_batch_is_drawn_as_the_whole_whatever_its_longest_clip(monkeypatch):
    views = {'query': {'crop': CROP, 'shear': {'type': 'Shear'}}}
    data = batch()
    whole = drawn(views, data)['query']
    monkeypatch.setattr('skeattn.models.preprocessor.get_world_size', lambda: 3)
    for rank in range(3):
        monkeypatch.setattr('skeattn.models.preprocessor.get_rank', lambda rank=rank: rank)
        part = {key: value[2 * rank : 2 * rank + 2] for key, value in data.items()}
        part['native'] = part['native'][:, :, : int(part['frames'].max())]
        torch.testing.assert_close(drawn(views, part)['query'], whole[2 * rank : 2 * rank + 2])


def test_marks_of_missing_joints_come_from_the_native_clips():
    data = batch()
    data['missing'] = torch.zeros(6, 16, 25, 2, dtype=torch.bool)
    data['native_missing'] = torch.zeros(6, 30, 25, 2, dtype=torch.bool)
    data['native_missing'][0, :, 7, 0] = data['native_missing'][1, 4, 3, 0] = True
    data['native'][0, :, :, 7, 0] = 99
    data['native'][1, :, 4, 3, 0] = 99
    inputs = drawn({'query': {'crop': {**CROP, 'share': (1, 1)}}}, data)
    out, seen = inputs['query'].movedim(2, -1), inputs['query.seen']  # (B, M, T, V, C), (B, M, T, V)
    lost = torch.zeros_like(seen)
    lost[0, 0, :, 7] = True
    lost[1, 0, :, 3] = torch.tensor([abs((i + 0.5) * 9 / 16 - 0.5 - 4) <= 0.5 for i in range(16)])
    assert torch.equal(seen, ~lost)
    assert (out[lost] == 99).all() and out[seen].abs().max() < 99  # no seen joint is blended with a stand-in
    bones = drawn({'query': {'crop': {**CROP, 'share': (1, 1)}}}, data, 'bone')['query']
    assert not bones[0, 0, :, :, 7].any() and bones.abs().max() < 99


@pytest.mark.parametrize(
    ('view', 'first'),
    [
        ({'shear': {'type': 'Shear'}, 'crop': CROP}, "the first is 'shear'"),
        ({'source': 'plain', 'crop': CROP}, "source='plain'"),
        ({'crop': {**CROP, 'on': 'stream'}}, "on='stream'"),
    ],
)
def test_crop_resize_elsewhere_than_at_the_start_is_refused(view, first):
    with pytest.raises(ConfigError, match=f'views.query.crop: CropResize reads the clip at its native .*{first}'):
        SkeletonPreprocessor('ntu25', views={'plain': {}, 'query': view})


def test_a_batch_without_native_clips_is_refused_with_the_cure():
    with pytest.raises(ConfigError, match=r'views\.query\.crop reads clips .* dataset\.native=True'):
        drawn({'query': {'crop': CROP}}, {'inputs': clips()})


def test_a_preprocessor_exposes_whether_it_reads_native_clips():
    for view, reads in (({'crop': CROP}, True), ({'crop': {'type': 'Crop'}}, False), ({}, False)):
        assert SkeletonPreprocessor('ntu25', views={'plain': {}, 'query': view}).reads_native == reads


def test_clips_of_one_length_can_stand_for_native_ones():
    x = {'inputs': clips(), 'missing': torch.zeros(6, 16, 25, 2, dtype=torch.bool)}
    full = at_full_length(x)
    assert full['frames'].tolist() == [16] * 6 and full['native'] is x['inputs']
    assert full['native_missing'] is x['missing']
    data = batch()
    assert at_full_length(data)['frames'] is data['frames']


def test_crops_and_the_choice_of_a_person_read_native_clips():
    native = {name for name, op in AUGMENTS.module_dict.items() if op.native and op.__module__.startswith('skeattn.')}
    assert native == {'CentreFirst', 'CropResize', 'CropSample', 'PickPerson'}


@AUGMENTS.register_module(name='HalfForTest')
class Half(Augment):
    """The first half of a clip."""

    def sample(self, count, spec, generator):
        return {}

    def change(self, x, params, partners):
        return x[:, :, : x.shape[2] // 2]


def test_draws_made_ahead_are_those_made_in_turn():
    """From the second batch on, all draws of a step come first; operations may change the number of frames."""
    mask = {'type': 'RandomJointMask', 'ratio': 0.2, 'fill': 5.0}
    views = {
        'query': {'crop': {**CROP, 'num_frames': 12}, 'shift': {'type': 'Crop'}, 'mask': mask},
        'short': {'half': {'type': 'HalfForTest'}, 'mask': mask},
        'mix': {'source': 'short', 'mix': {'type': 'SkeleMix', 'units': (1, 2)}},
    }
    longer = {'inputs': clips(6, 20), 'native': batch()['native'], 'frames': FRAMES}
    preprocessor = SkeletonPreprocessor('ntu25', 'joint', views)
    for iteration, data in enumerate([batch(), batch(), longer, longer, batch()]):
        preprocessor.begin_iteration(1, iteration)
        ahead = preprocessor(data, training=True)['inputs']
        in_turn = drawn(views, data, iteration=iteration)
        assert ahead.keys() == in_turn.keys() and all(torch.equal(ahead[name], in_turn[name]) for name in ahead)


PERSON = {'pick': {'type': 'PickPerson'}, 'centre': {'type': 'CentreFirst'}}
WHOLE = {'type': 'CropSample', 'share': (0.6, 0.9), 'num_frames': 12, 'min_frames': 4}
PART = {'type': 'CropSample', 'share': (0.3, 0.5), 'num_frames': 4, 'min_frames': 2}


def test_a_view_of_native_length_is_a_source_and_no_input():
    """Every view shows the same person, cut out of the whole clip."""
    data = batch()
    data['native'][..., 1] = -data['native'][..., 0]
    data['native'][0] = 0
    views = {'person': {'pick': PERSON['pick']}, 'one': {'source': 'person', 'crop': WHOLE}, 'two': {'like': 'one'}}
    views['two'] = {'source': 'person', 'crop': {**WHOLE, 'num_frames': 6}}
    inputs = drawn(views, data)
    assert inputs.keys() == {'one', 'two'} and inputs['one'].shape == (6, 1, 3, 12, 25)
    signs = []
    for view in ('one', 'two'):
        frames = inputs[view][:, 0].transpose(1, 2)[:, :, None]  # (N, T, 1, C, V)
        whole = data['native'].permute(0, 2, 4, 1, 3)[:, None]  # (N, 1, T, M, C, V)
        found = (frames[:, :, None] == whole).flatten(4).all(dim=4).any(dim=(1, 2))  # (N, M)
        signs.append(found)
    assert torch.equal(*signs) and (signs[0][1:].sum(dim=1) == 1).all()


def test_a_view_within_another_is_cut_out_of_its_piece():
    data, T = batch(), 30
    data['native'] = torch.arange(1.0, T + 1).view(1, 1, T, 1, 1).expand(6, 3, T, 25, 2) * 1.0
    data['native'] = data['native'] * (torch.arange(T) < FRAMES[:, None]).view(6, 1, T, 1, 1)
    views = {'whole': {'crop': {**WHOLE, 'share': (0.4, 0.6)}}, 'part': {'within': 'whole', 'crop': PART}}
    op = CropSample((0.4, 0.6), 12, 4)
    outside = 0
    for iteration in range(20):
        inputs = drawn(views, data, iteration=iteration)
        start, length = op.piece(op.draw(spec(6, 16), generator(1, iteration, 'whole', 'crop')), FRAMES)
        frames = inputs['part'][:, 0, 0, :, 0]
        assert (frames.amin(dim=1) >= start + 1).all() and (frames.amax(dim=1) <= start + length).all()
        assert (inputs['whole'][:, 0, 0, :, 0].amin(dim=1) >= start + 1).all()
        alone = drawn({'whole': views['whole'], 'part': {'crop': PART}}, data, iteration=iteration)['part']
        outside += (alone[:, 0, 0, :, 0].amin(dim=1) < start + 1).sum().item()
    assert outside > 10


def test_half_of_a_global_batch_has_its_persons_and_pieces(monkeypatch):
    person = {'pick': PERSON['pick'], 'centre': {'type': 'CentreFirst', 'joint': 'spine_mid'}}
    views = {
        'person': person,
        'whole': {'source': 'person', 'crop': WHOLE, 'mask': {'type': 'TubeMask', 'patch': 4}},
        'part': {'within': 'whole', 'crop': PART},
    }
    data = batch()
    whole = drawn(views, data)
    monkeypatch.setattr('skeattn.models.preprocessor.get_world_size', lambda: 3)
    for rank in range(3):
        monkeypatch.setattr('skeattn.models.preprocessor.get_rank', lambda rank=rank: rank)
        part = {key: value[2 * rank : 2 * rank + 2] for key, value in data.items()}
        part['native'] = part['native'][:, :, : int(part['frames'].max())]
        for name, value in drawn(views, part).items():
            torch.testing.assert_close(value, whole[name][2 * rank : 2 * rank + 2])


@pytest.mark.parametrize(
    ('views', 'message'),
    [
        (
            {'person': {**PERSON, 'shear': {'type': 'Shear'}}},
            r'person\.shear: Shear reads clips of one length.*CropSample',
        ),
        (
            {'person': PERSON, 'query': {'source': 'person', 'shear': {'type': 'Shear'}}},
            r'query\.shear: Shear reads clips of one length',
        ),
        (
            {'query': {'crop': WHOLE, 'pick': PERSON['pick']}},
            r'query\.pick: PickPerson reads the clip at its native length, so it must be the first',
        ),
        ({'query': {'within': 'other', 'crop': WHOLE}}, r"within='other'; each must name a view defined before"),
        (
            {'plain': {}, 'query': {'within': 'plain', 'crop': WHOLE}},
            r"query\.within='plain': both views must have the same source, and an operation that cuts",
        ),
    ],
)
def test_views_that_mix_native_and_other_lengths_are_named(views, message):
    with pytest.raises(ConfigError, match=message):
        SkeletonPreprocessor('ntu25', 'joint', views)
