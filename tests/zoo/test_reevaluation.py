"""A published encoder checked: everything agrees, and every change is found."""

import json
from dataclasses import replace

import pytest
import torch

from skeattn.errors import CheckpointError, RecordError
from skeattn.files import sha256
from skeattn.results import record as records
from skeattn.weights_file import read_weights, write_weights
from skeattn.zoo.entry import PublishedFile, read_entry, write_entry
from skeattn.zoo.reevaluation import check, evaluation_config, reevaluate
from tests.engine.toy import call


def change_record(folder, change) -> None:
    """Change the record, and its digest in the entry as a forger would."""
    path = folder / 'features.json'
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    changed = [PublishedFile(file='features.json', sha256=sha256(path))]
    write_entry(folder, replace(read_entry(folder), records=changed))


def test_every_number_is_found_again(work, published) -> None:
    result = reevaluate(published, work.data, 'cpu')
    record = records.read(published / 'features.json')
    wanted = [(source, metric) for source, stored in record.sources.items() for metric in stored.metrics]
    assert sorted((row.source, row.metric) for row in result.rows) == sorted(wanted) and len(wanted) > 40
    assert {row.tolerance for row in result.rows} == {1e-6} and result.agrees
    assert (result.skipped, result.faults, check(published)) == ([], [], [])


def test_the_command_agrees_and_says_so(work, published, capsys) -> None:
    assert call('verify', published, '--data', work.data, '--device', 'cpu') == 0
    out, err = capsys.readouterr()
    assert 'is intact: digests and facts agree, 56 numbers were found again' in out and err == ''


def test_a_changed_number_is_found(work, copied, capsys) -> None:
    def change(content) -> None:
        content['sources']['backbone@joints']['metrics']['retrieval/mAP'] += 1e-4

    change_record(copied, change)
    assert call('verify', copied, '--data', work.data, '--device', 'cpu') == 1
    _, err = capsys.readouterr()
    assert err.startswith('features.json: backbone@joints, retrieval/mAP: published ') and err.count('\n') == 1


def test_changed_settings_and_other_data_are_found(work, copied) -> None:
    def change(content) -> None:
        content['manifest_sha256'] = '0' * 64
        content['protocols']['knn']['k'] = [1, 3]

    change_record(copied, change)
    result = reevaluate(copied, work.data, 'cpu')
    assert not result.agrees and any('another data set' in fault for fault in result.faults)
    assert next(row.metric for row in result.rows if not row.agrees) == 'knn/top1_k5'


def test_what_cannot_be_repeated_is_named(work, copied, capsys, monkeypatch, tmp_path) -> None:
    def change(content) -> None:
        content['protocols']['finetune'] = {'type': 'Finetune'}
        content['sources'] = {'backbone': content['sources']['backbone']}
        content['sources']['backbone']['metrics'] = {'finetune/top1': 1.0, 'knn/top1_k1': 30.0}

    change_record(copied, change)
    assert reevaluate(copied, work.data, 'cpu').skipped == ['features.json: backbone, finetune']
    monkeypatch.chdir(tmp_path)
    assert call('verify', copied) == 0
    message = 'warning: not evaluated again: features.json: set is no packed set here; pass --data FOLDER\n'
    assert capsys.readouterr().err == message


def test_files_that_are_changed_or_missing_are_found(copied, capsys) -> None:
    (copied / 'features.json').write_text('{}')
    (copied / read_entry(copied).classifier.file).unlink()
    name = read_entry(copied).classifier.file
    assert check(copied) == [f'{name} is missing', 'features.json was changed: its sha256 differs from entry.json']
    assert call('verify', copied, '--json') == 1
    assert json.loads(capsys.readouterr().out)['problems'] == check(copied)


def test_facts_that_the_weights_do_not_have_are_found(copied) -> None:
    entry = read_entry(copied)
    write_entry(copied, replace(entry, facts={**entry.facts, 'epoch': 300}))
    assert check(copied) == ['epoch: the entry says 300, the weights 1']


def test_an_initialisation_of_a_foreign_config_reads_no_file(work, copied, tmp_path) -> None:
    """mmengine's ``Pretrained`` would unpickle the file that it names."""
    entry, record = read_entry(copied), records.read(copied / 'features.json')
    content = read_weights(copied / entry.weights.file)
    bomb = {'type': 'Pretrained', 'checkpoint': str(tmp_path / 'bomb.pth')}
    content['meta']['config']['model']['backbone']['init_cfg'] = bomb
    write_weights(tmp_path / 'a.safetensors', content['state_dict'], content['meta'])
    cfg = evaluation_config(tmp_path / 'a.safetensors', record, str(work.data))
    assert 'init_cfg' not in json.dumps(cfg.model.to_dict()) and 'Pretrained' not in cfg.pretty_text


def test_a_record_runs_and_imports_nothing(work, copied, tmp_path) -> None:
    mark = tmp_path / 'ran'

    def protocol(content) -> None:
        content['protocols']['knn'] = {'type': 'os.system', 'command': f'touch {mark}'}

    def override(content) -> None:
        content['cfg_options'] = {'dataset.pipeline.evil': f"dict(type='os.system', command='touch {mark}')"}

    change_record(copied, protocol)
    skipped = reevaluate(copied, work.data, 'cpu').skipped
    assert skipped[0] == 'features.json: backbone, knn' and len(skipped) == 4
    change_record(copied, override)
    with pytest.raises(CheckpointError, match=r"names the component 'os\.system', which is not registered"):
        reevaluate(copied, work.data, 'cpu')
    assert not mark.exists()


def test_overrides_of_an_evaluation_are_repeated(work, published) -> None:
    weights, record = published / read_entry(published).weights.file, records.read(published / 'features.json')
    record = replace(record, cfg_options={'dataset.pipeline.resample.num_frames': '12'})
    cfg = evaluation_config(weights, record, str(work.data))
    assert cfg.dataset.pipeline.resample.num_frames == 12 and cfg.dataset.data == str(work.data)
    with pytest.raises(RecordError, match='the overrides of SkeAttnCLR do not fit'):
        evaluation_config(weights, replace(record, cfg_options={'dataset.split.a.b': '1'}), str(work.data))


def test_weights_that_do_not_fit_are_found(copied) -> None:
    entry = read_entry(copied)
    path = copied / entry.weights.file
    content = read_weights(path)
    state = {**content['state_dict'], 'more': torch.zeros(1)}
    write_weights(path, state, content['meta'])
    write_entry(copied, replace(entry, weights=PublishedFile(file=path.name, sha256=sha256(path))))
    faults = check(copied)
    assert len(faults) == 2 and 'its name' in faults[0] and '1 unexpected (more)' in faults[1]
    with pytest.raises(CheckpointError, match='is damaged or was changed'):
        call('test', 'skeattnclr/stgcn_demo', copied)
