"""A published encoder computes what the checkpoint computes, from a file that holds nothing else."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors
import torch

from skeattn.apis import load_encoder
from skeattn.checkpoint import load_weights, read_checkpoint
from skeattn.datasets import PackedSet
from skeattn.engine.build import config_of, load_model
from skeattn.errors import CheckpointError, ConfigError, DataError, RecordError
from skeattn.evaluation.metrics import accuracy
from skeattn.models.momentum import pairs_of
from skeattn.models.queue import queues_of
from skeattn.protocols.finetune import encoder_weights
from skeattn.results import record as records
from skeattn.safe_tensors import pack_tensors
from skeattn.zoo.publish import surplus
from tests.models.hot_path import METHODS, method

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def packed(trained: Path) -> PackedSet:
    return PackedSet.open(trained.parents[2] / 'data/demo')


def test_it_embeds_as_the_checkpoint_to_the_bit(trained, zoo, packed, monkeypatch):
    original = load_encoder(trained, device='cpu')
    monkeypatch.setenv('SKEATTN_ZOO', str(zoo))
    by_name = load_encoder('toy', device='cpu')
    assert by_name.identity == original.identity and by_name.layout == original.layout
    for options in ({}, {'readout': 'joints'}, {'source': 'projector'}):
        np.testing.assert_array_equal(by_name.embed(packed, **options), original.embed(packed, **options))
    np.testing.assert_array_equal(by_name.attention(packed.clip(0)), original.attention(packed.clip(0)))


def test_names_folders_and_files_are_the_same_encoder(zoo, published, monkeypatch):
    monkeypatch.chdir(zoo.parent)  # its folder has the name that is looked for without the variable
    monkeypatch.delenv('SKEATTN_ZOO', raising=False)
    encoders = [load_encoder(one, device='cpu') for one in ('toy', published, published.parent)]
    encoders.append(load_encoder('toy', device='cpu', zoo=zoo))
    assert len({encoder.identity for encoder in encoders}) == 1
    with pytest.raises(CheckpointError, match=r"^tyo: no such checkpoint .*; in zoo: did you mean 'toy'\?$"):
        load_encoder('tyo')


def test_the_probe_predicts_as_in_the_evaluation(trained, published, packed):
    encoder = load_encoder(published, device='cpu')
    record = records.read(trained.parent / 'result.json').sources['backbone@joints']
    assert encoder.probe.source == 'backbone@joints' and encoder.probe.protocol == 'probe'
    test = [i for i in range(len(packed)) if packed.table['subject'][i] > 3]
    predictions = encoder.classify([packed.clip(i) for i in test])
    assert predictions.classes == tuple(packed.classes)
    np.testing.assert_allclose(predictions.probabilities.sum(axis=1), 1, atol=1e-6)
    labels = torch.tensor(packed.table['label'][test], dtype=torch.int64)
    assert accuracy(torch.from_numpy(predictions.probabilities), labels) == record.metrics['probe/top1']


def test_the_file_holds_weights_and_facts_alone(trained, published):
    with safetensors.safe_open(published, 'pt') as file:  # the reader of everybody else
        assert list(file.metadata()) == ['skeattn']
        facts = json.loads(file.metadata()['skeattn'])
        names = set(file.keys())
    state = read_checkpoint(trained)['state_dict']
    kept = {name for name in state if not name.startswith(('encoder_k.', 'queue.'))}
    assert names == kept | {'skeattn.probe.weights', 'skeattn.probe.bias'}
    assert facts['omitted'] == ['encoder_k', 'queue'] and facts['dataset']['classes'] == ['class0', 'class1', 'class2']
    assert facts['layout'] == 'ntu25' and facts['config']['dataset']['data'] == 'data/demo'
    assert str(trained.parents[2]).encode() not in published.read_bytes()
    assert facts['probe']['source'] == 'backbone@joints'
    assert [result['protocol'] for result in facts['published']['results']] == ['probe', 'knn']
    assert published.stat().st_size < trained.stat().st_size / 2


def test_equal_input_gives_an_equal_file(published, publication):
    again = publication().file
    assert again.name == published.name and again.read_bytes() == published.read_bytes()


def test_a_training_can_start_from_it(trained, published):
    cfg = config_of(trained)
    ours, theirs = (encoder_weights(path, cfg, 'joint') for path in (published, trained))
    assert ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)
    model = load_model(published)
    query, key = model.encoder_q.state_dict(), model.encoder_k.state_dict()
    assert all(torch.equal(query[name], key[name]) for name in query)


@pytest.mark.parametrize('name', METHODS)
def test_every_method_computes_its_features_without_what_is_left_out(name):
    model, other = method(name, 'cpu'), method(name, 'cpu')
    with torch.no_grad():
        for seed, one in enumerate((model, other)):
            draws = torch.Generator().manual_seed(seed)
            for value in one.state_dict().values():
                if value.is_floating_point():
                    value.copy_(torch.rand(value.shape, generator=draws) * 0.1 + 0.05)
    omitted = surplus(model)
    starts = tuple(f'{part}.' for part in omitted)
    state = {key: value for key, value in model.state_dict().items() if not key.startswith(starts)}
    assert bool(omitted) == bool(pairs_of(model) or queues_of(model))
    report = load_weights(other, state, 'file', min_match=1, meta={'omitted': omitted})
    assert len(report.loaded) == len(state) and not report.missing and not report.unexpected
    preprocessor = model.data_preprocessor
    batch = {'inputs': torch.rand(2, len(preprocessor.channels), 64, preprocessor.layout.num_joints, 2)}
    with torch.no_grad():
        for source in model.feature_sources():
            found, expected = (one.eval().features(batch, source) for one in (other, model))
            assert torch.equal(found, expected)
    for query, key in pairs_of(other):
        assert all(map(torch.equal, query.state_dict().values(), key.state_dict().values()))


def test_weights_that_are_missing_are_not_made_up():
    """A file that says that the encoder itself was left out is refused."""
    model = method('skeletonclr', 'cpu')
    state = {name: value for name, value in model.state_dict().items() if not name.startswith('encoder_q.')}
    with pytest.raises(CheckpointError, match='does not fit the model'):
        load_weights(model, state, 'file', meta={'omitted': ['encoder_q']})


def test_records_are_trusted_on_request(publication, trained):
    done = publication(again=False, record_files=[trained.parent / 'result.json'], licence='apache-2.0')
    assert 'probe' not in done.facts and done.facts['published']['licence'] == 'apache-2.0'
    assert load_encoder(done.file, device='cpu').probe is None
    assert (done.file.parent / 'README.md').read_text().startswith('---\nlicense: apache-2.0\n')


def test_an_encoder_is_replaced_on_request(publication, trained, tmp_path):
    first = publication().file
    with pytest.raises(ConfigError, match=r'holds a published encoder, toy-.* pass --overwrite'):
        publication()
    second = publication(again=False, record_files=[trained.parent / 'result.json'], overwrite=True).file
    assert [*first.parent.glob('*.safetensors')] == [second] and first != second


def test_other_numbers_weights_and_sets_are_refused(publication, trained, tmp_path):
    record = records.read(trained.parent / 'result.json')
    part = record.sources['backbone@joints']
    better = replace(part, metrics={**part.metrics, 'probe/top1': part.metrics['probe/top1'] + 30})
    cases = {
        'metrics': (replace(record, sources={'backbone@joints': better}), RecordError, r'probe/top1 is .*, but .* is'),
        'weights': (replace(record, checkpoint_sha256='0' * 64), RecordError, 'is the record of other weights'),
        'transfer': (replace(record, dataset='configs/other.py'), ConfigError, 'evaluates on another data set'),
        'length': (replace(record, num_frames={'pretrained': 16, 'evaluated': 32}), ConfigError, 'of another length'),
        'set': (replace(record, manifest_sha256='1' * 64), DataError, 'is not the set of the published numbers'),
    }
    for name, (changed, error, text) in cases.items():
        records.write(tmp_path / f'{name}.json', changed)
        with pytest.raises(error, match=text):
            publication(record_files=[tmp_path / f'{name}.json'])
    assert not (tmp_path / 'zoo').exists()


@pytest.mark.parametrize('name', ['../toy', 'a/b', '', '.', 'toy-0123456789abcdef'])
def test_a_name_is_that_of_a_folder(publication, name):
    with pytest.raises(ConfigError, match=r'--name .* use letters'):
        publication(name=name or '+')


def test_a_damaged_file_is_one_line(published, tmp_path):
    content = bytearray(published.read_bytes())
    content[-3] ^= 1
    damaged = tmp_path / published.name
    damaged.write_bytes(content)
    with pytest.raises(CheckpointError, match=r'is damaged: its sha256 is .*, not that of its name; copy or download'):
        load_encoder(damaged)


def test_a_probe_that_does_not_fit_is_refused(published, tmp_path):
    content = read_checkpoint(published)
    tensors = {**content['state_dict'], 'skeattn.probe.weights': torch.ones(3), 'skeattn.probe.bias': torch.ones(3)}
    for facts in (content['meta'], {key: value for key, value in content['meta'].items() if key != 'probe'}):
        (tmp_path / 'file.safetensors').write_bytes(pack_tensors(tensors, facts))
        with pytest.raises(CheckpointError, match=r'its probe is damaged .*; publish it again'):
            load_encoder(tmp_path / 'file.safetensors')
    probe = {'skeattn.probe.weights': torch.ones(7, 3), 'skeattn.probe.bias': torch.ones(3)}
    (tmp_path / 'file.safetensors').write_bytes(pack_tensors({**tensors, **probe}, content['meta']))
    with pytest.raises(CheckpointError, match='the stored probe reads 7 features, backbone@joints has 200'):
        load_encoder(tmp_path / 'file.safetensors', device='cpu').classify(np.eye(25, 3, dtype=np.float32)[None])


def test_two_versions_in_a_folder_are_ambiguous(published, tmp_path):
    for name in ('toy-0123456789abcdef.safetensors', published.name):
        shutil.copy(published, tmp_path / name)
    with pytest.raises(CheckpointError, match='has 2 published files'):
        load_encoder(tmp_path)
