"""The random numbers of masked models."""

import pytest
import torch

from skeattn.augment import ClipSpec, TokenNoise, generator
from skeattn.models import SkeletonPreprocessor
from skeattn.skeletons import get_layout
from tests.augment.clips import LAYOUT, clips


@pytest.mark.parametrize(('frames', 'patches'), [(16, 4), (13, 4), (3, 1)])
@pytest.mark.parametrize(('layout', 'persons'), [('ntu25', 2), ('kinect20', 1)])
def test_there_is_a_number_for_each_token_of_each_person(frames, patches, layout, persons):
    spec = ClipSpec(frames, get_layout(layout), 5, persons=persons)
    op = TokenNoise(patch=4)
    noted = op.notes(op.draw(spec, generator(0, 0)), frames)['uniform']
    assert noted.shape == (5, persons, patches * get_layout(layout).num_joints)
    assert 0 <= noted.min() < 0.05 and 0.95 < noted.max() < 1
    assert noted.unique().numel() > 0.99 * noted.numel()


def test_the_clip_is_unchanged():
    x, op = clips(), TokenNoise()
    assert op.apply(x, op.draw(ClipSpec(16, LAYOUT, len(x)), generator(0, 0)), None) is x


def test_halves_of_a_batch_note_what_the_whole_batch_notes(monkeypatch):
    """As on two processes; after a crop the tokens are those of its number of frames."""
    views = dict(query=dict(crop=dict(type='CropResize', min_frames=4, num_frames=8), noise=dict(type='TokenNoise')))
    preprocessor = SkeletonPreprocessor('ntu25', views=views)
    x = clips(n=4)

    def noted(rows):
        batch = dict(inputs=x[rows], native=x[rows], frames=torch.full((len(x[rows]),), 16))
        preprocessor.begin_iteration(0, 3)
        return preprocessor(batch, training=True)['inputs']['query.uniform']

    whole = noted(slice(None))
    assert whole.shape == (4, 2, 2 * 25)
    assert torch.equal(noted(slice(None)), whole)
    monkeypatch.setattr('skeattn.models.preprocessor.get_world_size', lambda: 2)
    for rank, rows in enumerate((slice(0, 2), slice(2, 4))):
        monkeypatch.setattr('skeattn.models.preprocessor.get_rank', lambda rank=rank: rank)
        assert torch.equal(noted(rows), whole[rows])
