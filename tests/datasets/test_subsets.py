"""Few labels: how many of which class, the same clips for everyone, and a file that is checked when it is read."""

import json
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skeattn.datasets import PackedSet, PackedWriter, SkeletonDataset
from skeattn.datasets.subsets import choose, labelled_clips, smallest_fraction, subset_file
from skeattn.errors import ConfigError, DataError
from tests.datasets.raw import clip

CLASSES = ['a', 'b', 'c']
FRACTIONS = st.floats(0.02, 1.0)
# Counts of clips per class, enough for one in fifty of every class.
COUNTS = st.lists(st.integers(26, 90), min_size=3, max_size=3)
PLAIN = {'resample': {'type': 'Resample', 'num_frames': 4}, 'pack': {'type': 'PackClip', 'num_persons': 1}}


def table(counts):
    labels = [label for label, count in enumerate(counts) for _ in range(count)]
    return [f'S{i:03d}' for i in range(len(labels))], labels


@given(counts=COUNTS, fraction=FRACTIONS, seed=st.integers(0, 5))
def test_every_class_gets_its_share(counts, fraction, seed):
    names, labels = table(counts)
    chosen = choose(names, labels, fraction, seed, CLASSES)
    of = dict(zip(names, labels, strict=True))
    assert len(set(chosen)) == len(chosen)
    assert Counter(of[name] for name in chosen) == {c: round(fraction * n) for c, n in enumerate(counts)}


@given(counts=COUNTS, fractions=st.tuples(FRACTIONS, FRACTIONS), seed=st.integers(0, 5))
def test_the_clips_of_a_smaller_share_are_among_those_of_a_larger_one(counts, fractions, seed):
    names, labels = table(counts)
    few, many = (set(choose(names, labels, fraction, seed, CLASSES)) for fraction in sorted(fractions))
    assert few <= many


@given(counts=COUNTS, fraction=FRACTIONS, order=st.randoms(use_true_random=False))
def test_the_order_of_the_table_does_not_matter(counts, fraction, order):
    rows = list(zip(*table(counts), strict=True))
    straight = choose(*zip(*rows, strict=True), fraction, 0, CLASSES)
    order.shuffle(rows)
    assert choose(*zip(*rows, strict=True), fraction, 0, CLASSES) == straight


def test_the_choice_is_the_same_everywhere_and_another_for_another_seed():
    names, labels = table([10, 10, 10])
    assert choose(names, labels, 0.2, 0, CLASSES) == ['S008', 'S007', 'S010', 'S012', 'S027', 'S029']
    assert choose(names, labels, 0.2, 1, CLASSES) == ['S008', 'S000', 'S016', 'S019', 'S023', 'S029']


@given(st.integers(1, 5000))
def test_the_smallest_fraction_is_enough_and_hardly_less_is_not(clips):
    fraction = smallest_fraction(clips)
    assert round(fraction * clips) == 1
    assert round(fraction * 0.9 * clips) == 0


def test_a_class_that_would_get_no_clip_is_named_with_what_would_do():
    names, labels = table([30, 16, 90])
    with pytest.raises(DataError, match=r"0\.01 leaves class 'a' none of its 30 .* every class a clip is 0\.032"):
        choose(names, labels, 0.01, 0, CLASSES)
    assert len(choose(names, labels, 0.032, 0, CLASSES)) == 1 + 1 + 3


@pytest.fixture
def data(tmp_path):
    """60 training clips, 20 of every class, of subjects 1 to 4; 6 test clips."""
    splits = {'xsub': {'field': 'subject', 'train': [1, 2, 3, 4]}}
    with PackedWriter(tmp_path / 'toy', 'toy', 'kinect20', CLASSES, splits) as writer:
        for i in range(66):
            writer.add(f'c{i:02d}', clip(0), label=i % 3, subject=9 if i < 6 else 1 + i % 4)
    return tmp_path / 'toy'


def test_a_training_split_shrinks_and_the_test_split_does_not(data):
    subset = {'fraction': 0.1, 'seed': 3}
    train = SkeletonDataset(data, 'xsub', 'train', PLAIN, subset=subset)
    assert len(train) == 6 and torch.bincount(train.labels).tolist() == [2, 2, 2]
    assert train.names.tolist() == sorted(train.names.tolist())
    assert len(SkeletonDataset(data, 'xsub', 'test', PLAIN, subset=subset)) == 6
    assert len(SkeletonDataset(data, 'xsub', 'train', PLAIN, subset={'fraction': 1.0})) == 60


def test_the_choice_is_written_beside_the_set_and_read_from_there(data):
    packed = PackedSet.open(data)
    subset = {'fraction': 0.1, 'seed': 3}
    chosen = labelled_clips(packed, 'xsub', subset)
    path = data / 'subsets/xsub_10percent_seed3.json'
    assert path == subset_file(packed, 'xsub', 0.1, 3)
    written = json.loads(path.read_text())
    assert sorted(written['names']) == packed.table['name'][chosen].tolist()
    assert written['labels'] == {'a': 2, 'b': 2, 'c': 2} and len(written['manifest_sha256']) == 64
    # Somebody's published choice is taken as it is.
    spare = next(n for n in packed.table['name'][6:] if n not in written['names'] and int(n[1:]) % 3 == 0)
    first = next(i for i, n in enumerate(written['names']) if int(n[1:]) % 3 == 0)
    written['names'][first] = str(spare)
    path.write_text(json.dumps(written))
    assert spare in packed.table['name'][labelled_clips(packed, 'xsub', subset)]
    assert json.loads(path.read_text()) == written


def test_a_set_that_cannot_be_written_to_gives_the_same_clips(data):
    packed, subset = PackedSet.open(data), {'fraction': 0.2}
    (data / 'subsets').write_text('in the way')
    kept = labelled_clips(packed, 'xsub', subset)
    (data / 'subsets').unlink()
    np.testing.assert_array_equal(labelled_clips(packed, 'xsub', subset), kept)


@pytest.mark.parametrize(
    ('change', 'why'),
    [
        ({'manifest_sha256': 'f' * 64}, r'was chosen with manifest_sha256='),
        ({'fraction': 0.2}, r'was chosen with fraction=0\.2, now it is 0\.1'),
        ({'names': ['c00']}, r"names 'c00', no training clip"),
        ({'names': ['c06', 'c06']}, r'names a clip twice'),
        ({'names': ['c06', 'c07']}, r"has no clip of class 'c'"),
        ({'names': ['c06', 'c07', 'c08']}, r'its counts are not those of its names'),
        ({'names': None}, r'is damaged'),
    ],
)
def test_a_file_that_does_not_fit_is_refused(data, change, why):
    packed, subset = PackedSet.open(data), {'fraction': 0.1}
    labelled_clips(packed, 'xsub', subset)
    path = subset_file(packed, 'xsub', 0.1, 0)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(DataError, match=rf'xsub_10percent_seed0\.json.*{why}.*remove'):
        labelled_clips(packed, 'xsub', subset)


def test_a_truncated_file_is_refused(data):
    packed = PackedSet.open(data)
    labelled_clips(packed, 'xsub', {'fraction': 0.1})
    path = subset_file(packed, 'xsub', 0.1, 0)
    path.write_text(path.read_text()[:100])
    with pytest.raises(DataError, match=r'is damaged .*; remove'):
        labelled_clips(packed, 'xsub', {'fraction': 0.1})


def test_rest_and_held_out_share_the_labelled_clips_by_subject(data):
    packed = PackedSet.open(data)
    subset = {'fraction': 0.5, 'heldout': 0.25}
    rest, held = (labelled_clips(packed, 'xsub', {**subset, 'part': part}) for part in ('rest', 'heldout'))
    subjects = packed.table['subject']
    assert len(set(subjects[held])) == 1 and not set(subjects[held]) & set(subjects[rest])
    np.testing.assert_array_equal(np.union1d(rest, held), labelled_clips(packed, 'xsub', {'fraction': 0.5}))


@pytest.mark.parametrize(
    ('subset', 'why'),
    [
        ({'share': 0.1}, "subset has no 'share'; known: fraction, seed"),
        ({'fraction': 0}, 'fraction=0 must lie above 0'),
        ({'fraction': 1.5}, r'fraction=1\.5 must lie above 0'),
        ({'seed': 'x'}, "seed='x' must be a whole number"),
        ({'heldout': 1.0}, r'heldout=1\.0 must lie in \[0, 1\)'),
        ({'heldout': 0.2, 'part': 'test'}, "part='test' be 'rest' or 'heldout'"),
        ({'part': 'heldout'}, 'set subset.heldout'),
        ({'per_class': 0}, 'per_class=0 must be a number of clips'),
        ({'per_class': 2.0}, r'per_class=2\.0 must be a number of clips'),
        ({'per_class': 2, 'fraction': 0.5}, 'has both fraction and per_class; remove one'),
    ],
)
def test_a_wrong_setting_is_named(data, subset, why):
    with pytest.raises(ConfigError, match=f'dataset.subset.*{why}' if 'known' not in why else why):
        labelled_clips(PackedSet.open(data), 'xsub', subset)


def test_one_percent_of_sixteen_clips_a_class_is_refused_by_name(mhad):
    with pytest.raises(DataError, match=r'0\.01 leaves class .* none of its 1[56] .* is 0\.03'):
        labelled_clips(PackedSet.open(mhad.path), 'xsub', {'fraction': 0.01})
    assert not (mhad.path / 'subsets').exists() or not list((mhad.path / 'subsets').glob('*_1percent_*'))


def test_some_labels_a_class(data):
    """n labels a class, which no fraction gives where classes differ in size."""
    packed = PackedSet.open(data)
    few = labelled_clips(packed, 'xsub', {'per_class': 5})
    assert np.bincount(packed.table['label'][few]).tolist() == [5, 5, 5]
    path = data / 'subsets/xsub_5perclass_seed0.json'
    assert path == subset_file(packed, 'xsub', 1.0, 0, 5) and json.loads(path.read_text())['per_class'] == 5
    np.testing.assert_array_equal(labelled_clips(packed, 'xsub', {'per_class': 5}), few)
    assert set(few) < set(labelled_clips(packed, 'xsub', {'per_class': 9}))
    assert not np.array_equal(labelled_clips(packed, 'xsub', {'per_class': 5, 'seed': 1}), few)
    with pytest.raises(DataError, match=r"per_class=21, but class 'a' has only 20 .* with 20 every class has enough"):
        labelled_clips(packed, 'xsub', {'per_class': 21})


@pytest.mark.parametrize('subset', [{'fraction': 1.0}, {'fraction': 0.5}, {'per_class': 2}])
def test_a_subset_has_only_clips_with_a_label(tmp_path, subset):
    """Few clips have a label, the others serve pre-training alone."""
    with PackedWriter(tmp_path / 'toy', 'toy', 'kinect20', CLASSES, {}) as writer:
        for i in range(30):
            writer.add(f'c{i:02d}', clip(0), label=i % 3 if i < 15 else -1)
    packed = PackedSet.open(tmp_path / 'toy')
    assert len(labelled_clips(packed, 'all', None)) == 30
    chosen = labelled_clips(packed, 'all', subset)
    assert chosen.max() < 15 and set(packed.table['label'][chosen]) == {0, 1, 2}


def test_a_subset_without_labels_is_refused(tmp_path):
    with PackedWriter(tmp_path / 'toy', 'toy', 'kinect20', CLASSES, {}) as writer:
        writer.add('c', clip(0), label=-1)
    with pytest.raises(DataError, match="split 'all' has no training clip with a label"):
        labelled_clips(PackedSet.open(tmp_path / 'toy'), 'all', {'fraction': 1.0})
