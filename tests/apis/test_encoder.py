"""load_encoder and what an encoder does with clips."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from skeattn.apis import TrainedEncoder, build_splits, config_of, load_encoder, load_model
from skeattn.apis import embed as embed_with_model
from skeattn.checkpoint import read_checkpoint, write_checkpoint
from skeattn.engine.config import read_config
from skeattn.errors import CheckpointError, ConfigError, DataError, NonFiniteError, SkeAttnError
from skeattn.evaluation import extract_features
from tests.apis.conftest import SELF_SUPERVISED, SUPERVISED


def test_a_work_dir_is_its_newest_checkpoint_and_both_tell_everything(reader: Path, encoder: TrainedEncoder) -> None:
    same = load_encoder(reader / SELF_SUPERVISED / 'epoch_1.pth', device='cpu')
    for one in (encoder, same):
        assert (one.layout.name, one.channels, one.stream) == ('ntu25', ('x', 'y', 'z'), 'joint')
        assert list(one.pipeline) == ['centre', 'resample', 'pack'] and not one.model.training
    assert one.identity == encoder.identity
    other = TrainedEncoder(load_model(reader / SELF_SUPERVISED), {**encoder.pipeline, 'centre': None}, device='cpu')
    assert other.identity != encoder.identity


@pytest.mark.slow
def test_neither_config_nor_data_are_needed(reader: Path, encoder: TrainedEncoder, clips, tmp_path: Path) -> None:
    moved = shutil.copy(reader / SELF_SUPERVISED / 'epoch_1.pth', tmp_path / 'mine.pth')
    hidden = (reader / 'data').rename(reader / 'elsewhere')
    try:
        np.testing.assert_array_equal(load_encoder(moved, device='cpu').embed(clips), encoder.embed(clips))
    finally:
        hidden.rename(reader / 'data')


def test_embedding_a_packed_set_equals_extracting_its_features(reader: Path, encoder: TrainedEncoder, packed) -> None:
    _, test = build_splits(config_of(reader / SELF_SUPERVISED))
    found = encoder.features(packed, readout='joints')
    rows = [found.names.index(name) for name in test.names]
    expected = extract_features(encoder.model, test, readout='joints')
    torch.testing.assert_close(found.x[rows], expected.x)
    assert found.labels[rows].tolist() == expected.labels.tolist()
    assert found.subjects[rows].tolist() == expected.subjects.tolist()


def test_features_are_those_of_the_function_with_a_model(encoder: TrainedEncoder, clips) -> None:
    expected = embed_with_model(encoder.model, clips, encoder.pipeline, readout='joints+segments')
    np.testing.assert_array_equal(encoder.embed(clips, readout='joints+segments'), expected)
    assert encoder.embed(clips, source='projector').dtype == np.float32
    in_parts = encoder.embed(clips, batch_size=3)
    np.testing.assert_allclose(in_parts, encoder.embed(clips), atol=1e-6)


def test_a_checkpoint_without_its_config_needs_the_file(
    reader: Path, encoder: TrainedEncoder, clips, tmp_path: Path
) -> None:
    checkpoint = read_checkpoint(reader / SELF_SUPERVISED / 'epoch_1.pth')
    write_checkpoint(tmp_path / 'bare.pth', {'state_dict': checkpoint['state_dict']})
    with pytest.raises(CheckpointError, match=r'bare\.pth does not hold its config; pass the config file as well'):
        load_encoder(tmp_path / 'bare.pth')
    config = reader / 'configs/skeattnclr/toy.py'
    again = load_encoder(tmp_path / 'bare.pth', 'cpu', config)
    np.testing.assert_array_equal(again.embed(clips), encoder.embed(clips))
    assert list(again.pipeline) == list(read_config(config).dataset.pipeline)


@pytest.mark.parametrize(
    ('name', 'device', 'error', 'message'),
    [
        ('absent.pth', None, CheckpointError, 'no such checkpoint or work_dir; check the path'),
        ('', None, CheckpointError, 'holds no checkpoint; train first'),
        ('configs/skeattnclr/toy.py', None, ConfigError, 'is a config; give a checkpoint or the work_dir'),
        ('data/demo/manifest.json', None, CheckpointError, r'is no checkpoint: its name should end with \.pth or'),
        (SELF_SUPERVISED, 'abacus', ConfigError, "device='abacus' cannot be used"),
    ],
)
def test_what_cannot_be_loaded_is_said_in_one_line(reader: Path, name, device, error, message) -> None:
    with pytest.raises(error, match=message) as raised:
        load_encoder(reader / name, device)
    assert '\n' not in str(raised.value)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'readout': 'median'}, "unknown readout 'median'"),
        ({'source': 'tail'}, "no features from 'tail'"),
        ({'batch_size': 0}, 'batch_size=0 is a number of clips, at least 1'),
    ],
)
def test_settings_that_do_not_exist_are_refused(encoder: TrainedEncoder, clips, options, message) -> None:
    with pytest.raises(ConfigError, match=message):
        encoder.embed(clips, **options)


def test_values_that_overflow_name_the_clip(encoder: TrainedEncoder, clips, monkeypatch) -> None:
    with pytest.raises(DataError, match='clip 1: absurd coordinate'):
        encoder.embed([clips[0], np.sign(clips[1]) * 3e38])
    monkeypatch.setattr(encoder.model, 'features', lambda data, source: data['inputs'].flatten(1) / 0)
    with pytest.raises(NonFiniteError, match='features of 8 of 8 clips are NaN or infinite, first clip 0, clip 1'):
        encoder.embed(clips)


def test_the_classifier_of_a_supervised_checkpoint(reader: Path, recognizer: TrainedEncoder, packed) -> None:
    predictions = recognizer.classify(packed)
    logits = recognizer.embed(packed, source='logits').astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(predictions.probabilities, expected, atol=1e-6)
    assert predictions.classes == ('class0', 'class1', 'class2')
    assert predictions.names == [f'class{i}' for i in logits.argmax(axis=1)]
    assert predictions.clips == tuple(packed.table['name']) and len(predictions) == len(packed)
    best, second = predictions.top(2)[0]
    assert best[0] == predictions.names[0] and best[1] >= second[1]
    assert str(predictions).splitlines()[0].startswith(f'clip000: {best[0]} (')
    unnamed = TrainedEncoder(load_model(reader / SUPERVISED), recognizer.pipeline, device='cpu')
    assert unnamed.classify(packed).classes == ('class 0', 'class 1', 'class 2')


def test_an_encoder_without_a_classifier_names_the_two_ways_to_one(encoder: TrainedEncoder, clips) -> None:
    with pytest.raises(ConfigError, match=r'has no classifier.*fit_few_shot\(clips, labels\).*--protocol finetune'):
        encoder.classify(clips)


def test_attention_is_the_mask_of_the_clip_with_nan_for_absent_persons(
    reader: Path, encoder: TrainedEncoder, clips
) -> None:
    mask = encoder.attention(clips[0])
    assert mask.shape == (1, 4, 25) and mask.dtype == np.float32 and (mask > 0).all() and (mask < 1).all()
    _, test = build_splits(config_of(reader / SELF_SUPERVISED))
    expected = encoder.model.salient_mask(test.__getitems__([0]))[0]
    np.testing.assert_allclose(
        encoder.attention({'c': np.asarray(test.clips[0].permute(3, 1, 2, 0))}), expected.detach(), atol=1e-4
    )
    pair = {**encoder.pipeline, 'pack': {'type': 'PackClip', 'num_persons': 2}}
    two = TrainedEncoder(encoder.model, pair, device='cpu').attention(clips[0])
    assert np.isnan(two[1]).all() and not np.isnan(two[0]).any()


def test_attention_of_what_has_none(encoder: TrainedEncoder, recognizer: TrainedEncoder, clips) -> None:
    with pytest.raises(ConfigError, match='Recognizer has no salient mask; choose a config or a checkpoint of SkeAttn'):
        recognizer.attention(clips[0])
    with pytest.raises(DataError, match=r'attention\(\) received 8 clips; pass one'):
        encoder.attention(clips)


def test_neighbours_are_those_by_cosine_similarity(encoder: TrainedEncoder, packed, clips) -> None:
    bank = encoder.bank(packed)
    found = encoder.retrieve(clips, bank, k=4)
    assert found == encoder.retrieve(clips, packed.path, k=4)
    unit = [x / np.linalg.norm(x, axis=1, keepdims=True) for x in (encoder.embed(clips), encoder.embed(packed))]
    similarity = unit[0] @ unit[1].T
    for row, nearest in zip(similarity, found, strict=True):
        np.testing.assert_allclose([one.similarity for one in nearest], np.sort(row)[::-1][:4], atol=1e-5)
        for one in nearest:
            assert row[one.place] == pytest.approx(one.similarity, abs=1e-5)
            assert one.name == packed.table['name'][one.place]
            assert one.label == f'class{packed.table["label"][one.place]}'


def test_a_bank_of_arrays_has_the_labels_given_and_survives_a_file(
    encoder: TrainedEncoder, clips, tmp_path: Path
) -> None:
    bank = encoder.bank(clips, ['a', None] * 4, readout='joints')
    bank.save(tmp_path / 'bank.npz')
    again = type(bank).load(tmp_path / 'bank.npz')
    with np.load(tmp_path / 'bank.npz', allow_pickle=False) as stored:
        np.testing.assert_array_equal(stored['x'], encoder.embed(clips, readout='joints'))
        assert stored['names'].tolist() == [f'clip {i}' for i in range(8)]
    assert encoder.retrieve(clips, again, 3) == encoder.retrieve(clips, bank, 3)
    assert len(again) == 8
    assert [row[0][:2] for row in encoder.retrieve(clips[:2], again, 1)] == [('clip 0', 'a'), ('clip 1', 'unlabelled')]
    with pytest.raises(ConfigError, match=r'k=9 on 8 clips .* choose 1 <= k <= 8'):
        encoder.retrieve(clips, bank, 9)


def test_a_bank_of_another_encoder_is_refused(encoder: TrainedEncoder, recognizer: TrainedEncoder, clips) -> None:
    with pytest.raises(CheckpointError, match=r'the bank was made with the encoder of .*skeattnclr.*make it again'):
        recognizer.retrieve(clips, encoder.bank(clips), 1)


@pytest.mark.parametrize('damage', ['absent', 'text', 'kind', 'truncated'])
def test_a_damaged_bank_is_named(encoder: TrainedEncoder, clips, labels, tmp_path: Path, damage: str) -> None:
    path = tmp_path / 'bank.npz'
    if damage == 'kind':
        encoder.fit_few_shot(clips, labels).save(path)
    elif damage != 'absent':
        encoder.bank(clips).save(path)
        path.write_bytes(b'text' if damage == 'text' else path.read_bytes()[:-200])
    with pytest.raises(SkeAttnError, match=r'bank\.npz (does not exist|is damaged|holds a few-shot classifier)'):
        type(encoder.bank(clips)).load(path)


@pytest.mark.parametrize(
    ('part', 'value', 'message'),
    [
        ('classes', 5, 'classes: Input should be a valid list'),
        ('num_streams', 0, 'num_streams: Input should be greater than 0'),
        ('num_streams', 7, 'arrays of different length'),
        ('origin', {'encoder': 'x'}, 'origin.checkpoint: Field required'),
        ('labels', np.zeros(8), 'labels is an array of float64'),
        ('subjects', np.zeros(3, np.int64), 'arrays of different length'),
        ('x', np.full((8, 4), np.nan, np.float32), 'x holds a NaN'),
        ('names', None, 'it lacks the array names'),
    ],
)
def test_a_bank_of_other_values_is_damaged(
    encoder: TrainedEncoder, clips, tmp_path: Path, part, value, message
) -> None:
    """Kind: a file without a fault in its bytes whose values are of another type, shape or range."""
    path = tmp_path / 'bank.npz'
    bank = encoder.bank(clips)
    bank.save(path)
    with np.load(path) as stored:
        content: dict[str, Any] = dict(stored)
    facts = json.loads(str(content['facts']))
    (facts if part in facts else content)[part] = value
    content['facts'] = np.array(json.dumps(facts))
    np.savez(path, **{name: array for name, array in content.items() if array is not None})
    with pytest.raises(DataError, match=re.escape(f'bank.npz is damaged ({message}')):
        type(bank).load(path)
