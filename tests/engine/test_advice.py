"""Settings that are allowed but seldom meant."""

import pytest
from torch import nn

from skeattn.engine.advice import advice
from skeattn.models.queue import FeatureQueue

RECIPE = dict(clips=1000, batch_size=32, steps=1000, optimizer=dict(type='SGD', lr=0.025))


def model(*sizes: int) -> nn.Module:
    """A module with queues of these sizes."""
    return nn.ModuleList([FeatureQueue(size, 4) for size in sizes])


def said(size: int = 256, **changes: object) -> list[str]:
    return advice(model(size, size), **{**RECIPE, **changes})


def test_the_recipe_needs_no_advice():
    assert said() == []


@pytest.mark.parametrize(
    ('changes', 'words'),
    [
        (dict(size=4000), ['size=4000', '1000 training clips', '4.0 times']),
        (dict(size=999, steps=31), ['size=999', 'writes only 992 keys']),
        (dict(batch_size=600, optimizer=dict(type='SGD', lr=0.4)), ['batch_size=600', '400 of 1000']),
        (dict(optimizer=dict(type='SGD', lr=0.25)), ['lr=0.25', '10 times', 'lr=0.025']),
        (dict(optimizer=dict(type='SGD', lr=0.0025)), ['lr=0.0025', '1/10 of']),
    ],
)
def test_each_is_one_sentence_with_its_numbers(changes, words):
    """Two queues of one size give one sentence."""
    sentences = said(**changes)
    assert len(sentences) == 1
    for word in words:
        assert word in sentences[0]


def test_a_queue_that_knows_its_clips_may_be_larger_than_the_set():
    """STARS leaves a clip's own keys out; all have to be written, though."""
    stars = nn.ModuleList([FeatureQueue(4000, 4, with_ids=True)])
    assert advice(stars, **RECIPE) == []
    (sentence,) = advice(stars, **{**RECIPE, 'steps': 100})
    assert 'writes only 3200 keys' in sentence


@pytest.mark.parametrize(
    'changes',
    [
        dict(size=1000),
        dict(steps=8),  # 256 keys
        dict(batch_size=160, optimizer=dict(type='SGD', lr=0.1)),  # 40 clips left
        dict(optimizer=dict(type='AdamW', lr=2.0)),
        dict(optimizer=dict(type='SGD', lr=0.19)),
        dict(optimizer={}),
    ],
)
def test_bounds(changes):
    assert said(**changes) == []
