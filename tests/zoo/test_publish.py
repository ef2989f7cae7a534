"""Publishing: the same encoder for others, with nothing of the trainer's machine, complete or not at all."""

import json
import re
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch

from skeattn import fetch
from skeattn.apis import load_encoder
from skeattn.checkpoint import read_checkpoint, write_checkpoint
from skeattn.errors import CheckpointError, ConfigError, RecordError
from skeattn.files import sha256
from skeattn.results import record as records
from skeattn.zoo.entry import read_entry, write_entry
from skeattn.zoo.publish import portable, publish
from tests.engine.toy import call


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        pass


def same(found: np.ndarray, wanted: np.ndarray) -> bool:
    return found.dtype == wanted.dtype and found.tobytes() == wanted.tobytes()


def test_the_published_encoder_is_the_same_bit_for_bit(work, published, clips, monkeypatch, tmp_path) -> None:
    original = load_encoder(work.checkpoint, 'cpu')
    wanted = original.embed(clips, readout='joints')
    monkeypatch.setenv(fetch.ZOO, str(published.parent))
    monkeypatch.setenv(fetch.DOWNLOADS, str(tmp_path))
    weights = read_entry(published).weights.file
    with ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=published)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for reference in ('toy', published, published / weights, f'http://127.0.0.1:{server.server_port}/{weights}'):
            encoder = load_encoder(reference, 'cpu')
            assert encoder.identity == original.identity
            assert same(encoder.embed(clips, readout='joints'), wanted)
        server.shutdown()


def test_the_entry_holds_digests_and_facts(work, published) -> None:
    entry = read_entry(published)
    assert entry.name == published.name == 'toy' and entry.checkpoint_sha256 == sha256(work.checkpoint)
    assert [one.file for one in entry.records] == ['features.json'] and entry.faults(published) == []
    assert entry.weights.file == f'toy-{entry.weights.sha256[:8]}.safetensors'
    assert entry.classifier.file == f'toy-classifier-{entry.classifier.sha256[:8]}.npz'
    names = {'README.md', 'entry.json', *(one.file for one in entry.files)}
    assert {path.name for path in published.iterdir()} == names and len(names) == 5
    wanted = {'method': 'SkeAttnCLR', 'backbone': 'STGCN', 'num_frames': 16, 'seed': 0, 'data': 'set', 'split': 'xsub'}
    assert wanted.items() <= entry.facts.items()
    assert entry.facts['identity'] == load_encoder(work.checkpoint, 'cpu').identity


def test_all_weights_are_kept_and_the_training_is_not(work, published) -> None:
    before, after = read_checkpoint(work.checkpoint), read_checkpoint(published / read_entry(published).weights.file)
    assert after.keys() == {'state_dict', 'meta'} and after['state_dict'].keys() == before['state_dict'].keys()
    assert all(value.equal(before['state_dict'][name]) for name, value in after['state_dict'].items())
    assert 'cfg' not in after['meta'] and after['meta']['config']['model'] == before['meta']['config']['model']


def test_no_path_of_the_machine_is_published(work, published) -> None:
    folder = str(work.data.parent).encode()
    assert folder in work.checkpoint.read_bytes() and folder in work.record.read_bytes()
    for path in published.iterdir():
        assert folder not in path.read_bytes(), path.name
    classifier = load_encoder(published, 'cpu').load_few_shot(published / read_entry(published).classifier.file)
    assert classifier.origin.checkpoint == read_entry(published).weights.file


@pytest.mark.parametrize(
    ('value', 'wanted'),
    [
        ('/data/ntu', 'ntu'),
        ('/data', 'data'),
        ('~/runs/a.pth', 'a.pth'),
        ('see /home/me/a.log, /b/c', 'see a.log, c'),
        ('key=/a/b', 'key=b'),
        ('data/ntu', 'data/ntu'),
        ('../a', '../a'),
        ('https://a.org/b', 'https://a.org/b'),
        ('3 / 4', '3 / 4'),
        ({'work_dir': 'a', 'cfg': 'b', 'config': {'load_from': 'c', 'x': ('/d/e', 1)}}, {'config': {'x': ['e', 1]}}),
        (torch.tensor([1, 2]), [1, 2]),
    ],
)
def test_absolute_paths_are_shortened_to_their_last_part(value, wanted) -> None:
    assert portable(value) == wanted


def test_the_numbers_of_the_record_and_its_score_files_are_kept(work, published) -> None:
    before, after = records.read(work.record), records.read(published / 'features.json')
    assert after.sources == before.sources and after.protocols == before.protocols and after.data == 'set'


def test_publishing_again_gives_the_same_bytes(work, published, tmp_path) -> None:
    again = publish(work.checkpoint, tmp_path, 'toy', [work.record], work.classifier)
    for path in published.iterdir():
        assert (again / path.name).read_bytes() == path.read_bytes(), path.name
    assert [path.name for path in tmp_path.iterdir()] == ['toy']


def test_an_existing_folder_stays_unless_it_is_an_encoder_to_replace(work, copied) -> None:
    before = (copied / 'entry.json').read_bytes()
    with pytest.raises(ConfigError, match='toy exists already; choose a different name, or pass --overwrite'):
        publish(work.checkpoint, copied.parent, 'toy')
    assert (copied / 'entry.json').read_bytes() == before
    publish(work.checkpoint, copied.parent, 'toy', overwrite=True)
    assert read_entry(copied).classifier is None and [path.name for path in copied.parent.iterdir()] == ['toy']
    (copied / 'entry.json').unlink()
    with pytest.raises(ConfigError, match='toy exists and is no published encoder'):
        publish(work.checkpoint, copied.parent, 'toy', overwrite=True)


def test_what_does_not_belong_to_the_checkpoint_is_refused(work, tmp_path) -> None:
    content = json.loads(work.record.read_text()) | {'checkpoint_sha256': '0' * 64}
    (tmp_path / 'other.json').write_text(json.dumps(content))
    with pytest.raises(RecordError, match=r'other\.json is the record of another checkpoint'):
        publish(work.checkpoint, tmp_path / 'zoo', 'toy', [work.record, tmp_path / 'other.json'])
    with pytest.raises(RecordError, match='two records are called'):
        publish(work.checkpoint, tmp_path / 'zoo', 'toy', [work.record, work.record])
    checkpoint = read_checkpoint(work.checkpoint)
    for value in checkpoint['state_dict'].values():
        value += 1 if value.is_floating_point() else 0
    write_checkpoint(tmp_path / 'moved.pth', checkpoint)
    with pytest.raises(CheckpointError, match='the classifier was made with the encoder of '):
        publish(tmp_path / 'moved.pth', tmp_path / 'zoo', 'toy', [], work.classifier)
    assert list((tmp_path / 'zoo').iterdir()) == []


def test_a_faulty_checkpoint_is_refused(work, tmp_path) -> None:
    checkpoint = read_checkpoint(work.checkpoint)
    next(iter(checkpoint['state_dict'].values())).fill_(torch.nan)
    write_checkpoint(tmp_path / 'a.pth', checkpoint)
    with pytest.raises(CheckpointError, match=r'a\.pth is not published: 1 tensors hold NaN'):
        publish(tmp_path / 'a.pth', tmp_path / 'zoo')
    for name in ('../a', '.a', 'a/b', 'a b'):
        with pytest.raises(ConfigError, match='is no name of an encoder'):
            publish(work.checkpoint, tmp_path / 'zoo', name)
    assert not (tmp_path / 'zoo').exists()


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'version': 2}, 'version 2, this skeattn reads 1'),
        ({'weights': {'file': '../a.safetensors', 'sha256': '0' * 64}}, r'no valid entry: weights\.file'),
        ({'checkpoint_sha256': 'x'}, 'no valid entry: checkpoint_sha256'),
        ({'more': 1}, 'no valid entry: more'),
    ],
)
def test_a_damaged_entry_is_refused(copied, change, message) -> None:
    content = json.loads((copied / 'entry.json').read_text()) | change
    (copied / 'entry.json').write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=message) as raised:
        read_entry(copied)
    assert '\n' not in str(raised.value)


def test_an_entry_is_read_as_it_was_written(published, tmp_path) -> None:
    write_entry(tmp_path, read_entry(published))
    assert (tmp_path / 'entry.json').read_bytes() == (published / 'entry.json').read_bytes()


def test_the_command_publishes_under_a_default_name(work, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(work.run, tmp_path / 'demo')
    call('publish', 'demo')
    out = capsys.readouterr().out
    assert out.startswith('published zoo/skeattnclr_demo; ') and (tmp_path / 'zoo/encoders.md').is_file()
    assert re.search(r'^wrote zoo/model-index\.yml$', out, re.MULTILINE)
    call('publish', '--index', '--out', 'zoo')
    with pytest.raises(ConfigError, match='give either CHECKPOINT, or --index'):
        call('publish')
    call('info', 'zoo/skeattnclr_demo')
    assert 'SkeAttnCLR' in capsys.readouterr().out
