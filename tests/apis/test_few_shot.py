"""A classifier on frozen features, from few labelled clips."""

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from skeattn.apis import UNKNOWN, FewShotClassifier, TrainedEncoder
from skeattn.errors import CheckpointError, ConfigError, DataError


@pytest.fixture(scope='module')
def classifier(encoder: TrainedEncoder, clips, labels) -> FewShotClassifier:
    return encoder.fit_few_shot(clips, labels, accept=1.0)


def test_it_learns_the_labels_and_gives_probabilities(classifier: FewShotClassifier, clips, labels) -> None:
    predictions = classifier.predict(clips)
    assert predictions.classes == ('still', 'wild') and predictions.names == labels
    np.testing.assert_allclose(predictions.probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(predictions.similarity, 1, atol=1e-5)
    assert {'penalty', 'folds', 'heldout_top1', 'accept'} == set(classifier.facts)


def test_a_clip_unlike_all_others_is_unknown(encoder: TrainedEncoder, clips, labels) -> None:
    classifier = encoder.fit_few_shot(clips, labels, readout='mean')
    lying = clips[0][..., [1, 0, 2]] * [3, 0.1, 3]
    predictions = classifier.predict([clips[0], lying.astype(np.float32)])
    assert predictions.names == ['still', UNKNOWN] and predictions.unknown.tolist() == [False, True]
    assert predictions.similarity[1] < classifier.probe.least_similarity <= predictions.similarity[0]


def test_labels_of_a_packed_set_are_its_own(encoder: TrainedEncoder, packed) -> None:
    classifier = encoder.fit_few_shot(packed)
    assert classifier.classes == ('class0', 'class1', 'class2')
    numbered = encoder.fit_few_shot(packed, packed.table['label'])
    assert numbered.classes == ('0', '1', '2')
    np.testing.assert_array_equal(classifier.probe.weights, numbered.probe.weights)


def test_clips_without_a_label_are_left_out(encoder: TrainedEncoder, clips, labels) -> None:
    some = [label if i < 6 else None for i, label in enumerate(labels)]
    fitted, expected = encoder.fit_few_shot(clips, some), encoder.fit_few_shot(clips[:6], labels[:6])
    np.testing.assert_allclose(fitted.probe.weights, expected.probe.weights, atol=1e-6)
    assert len(fitted.probe.bank) == 6


def test_a_saved_classifier_predicts_the_same(
    classifier: FewShotClassifier, encoder: TrainedEncoder, clips, tmp_path: Path
) -> None:
    classifier.save(tmp_path / 'wave.npz')
    again = encoder.load_few_shot(tmp_path / 'wave.npz')
    expected, found = classifier.predict(clips), again.predict(clips)
    np.testing.assert_array_equal(found.probabilities, expected.probabilities)
    assert found.names == expected.names and again.facts == classifier.facts
    with np.load(tmp_path / 'wave.npz', allow_pickle=False) as stored:
        assert json.loads(str(stored['facts']))['kind'] == 'few-shot classifier'


def test_a_file_is_never_executed(encoder: TrainedEncoder, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / 'ran',))

    np.savez(tmp_path / 'evil.npz', facts=np.array([Evil()], dtype=object))
    (tmp_path / 'bare.npz').write_bytes(pickle.dumps(Evil()))
    for name in ('evil.npz', 'bare.npz'):
        with pytest.raises(DataError, match=f'{name} is damaged, or not a file of a few-shot classifier'):
            encoder.load_few_shot(tmp_path / name)
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('key', ['classes', 'temperature', 'origin', 'weights', 'bank'])
def test_a_file_with_a_part_missing_is_damaged(classifier, encoder: TrainedEncoder, tmp_path: Path, key: str) -> None:
    path = tmp_path / 'a.npz'
    classifier.save(path)
    with np.load(path) as stored:
        content = dict(stored)
    facts = json.loads(str(content['facts']))
    (facts if key in facts else content).pop(key)
    np.savez(path, **{**content, 'facts': np.array(json.dumps(facts))})
    with pytest.raises(DataError, match=rf'a\.npz is damaged \(.*{key}.*\); make the few-shot classifier again'):
        encoder.load_few_shot(path)


def test_it_is_bound_to_its_encoder(classifier, recognizer: TrainedEncoder, tmp_path: Path) -> None:
    classifier.save(tmp_path / 'a.npz')
    with pytest.raises(CheckpointError, match=r'the classifier was made with the encoder of .*skeattnclr'):
        recognizer.load_few_shot(tmp_path / 'a.npz')


@pytest.mark.parametrize(
    ('labels', 'options', 'error', 'message'),
    [
        (['a'] * 8, {}, DataError, 'all 8 clips have one label; give clips of at least two classes'),
        (['a'] * 7 + ['b'], {}, DataError, "class 'b' has one clip, clip 7; give at least two of every class"),
        (['a', 'b'], {}, DataError, '2 labels for 8 clips'),
        (None, {}, DataError, r'no clip has a label; pass labels=\[...\]'),
        (['a', UNKNOWN] * 4, {}, DataError, "a class is called 'unknown'"),
        (['a', 'b'] * 4, {'accept': 1.5}, ConfigError, r'accept=1\.5'),
        (['a', 'b'] * 4, {'readout': 'median'}, ConfigError, "unknown readout 'median'"),
    ],
)
def test_labels_that_teach_nothing_are_refused(encoder: TrainedEncoder, clips, labels, options, error, message) -> None:
    with pytest.raises(error, match=message):
        encoder.fit_few_shot(clips, labels, **options)
