"""A published number is computed again: it agrees, or its difference is one line."""

import json
import sys
from pathlib import Path

import pytest
import torch

from skeattn.apis import load_encoder
from skeattn.checkpoint import PROBE_PREFIX, read_checkpoint
from skeattn.commands import main
from skeattn.engine.build import config_of
from skeattn.errors import CheckpointError
from skeattn.evaluation.features import extract_features
from skeattn.protocols.evaluate import Evaluation
from skeattn.safe_tensors import pack_tensors
from skeattn.zoo import again, publish
from skeattn.zoo.again import check_published
from skeattn.zoo.results import differences
from tests.engine.toy import write_set

pytestmark = pytest.mark.slow


@pytest.fixture
def skeattn(trained: Path, monkeypatch, capsys):
    """A command in the folder of the training: ``skeattn('verify', ...) -> (status, stdout, stderr)``."""
    monkeypatch.chdir(trained.parents[2])

    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['skeattn', *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, *capsys.readouterr()

    return run


def tampered(published: Path, path: Path, change) -> Path:
    """The file with changed facts."""
    content = read_checkpoint(published)
    probe = {f'{PROBE_PREFIX}{name}': value for name, value in content['probe']['tensors'].items()}
    change(content['meta'])
    path.write_bytes(pack_tensors({**content['state_dict'], **probe}, content['meta']))
    return path


def test_the_numbers_agree(published, trained):
    check = check_published(published, str(trained.parents[2] / 'data/demo'), 'cpu')
    assert not check.faults and {row[-1] for row in check.rows} == {'agrees'}
    names = [row[0] for row in check.rows]
    assert names[0] == 'backbone@joints: probe/top1' and names[-1] == 'backbone@joints: stored probe/top1'
    assert all(was == now for _, was, now, _ in check.rows)


def test_a_changed_number_disagrees(published, trained, tmp_path):
    def better(meta):
        meta['published']['results'][1]['metrics']['top1_k1'] += 30

    check = check_published(
        tampered(published, tmp_path / 'a.safetensors', better), str(trained.parents[2] / 'data/demo')
    )
    assert [row[0] for row in check.rows if row[-1] == 'differs'] == ['backbone@joints: knn/top1_k1']
    (fault,) = check.faults
    assert fault.startswith('backbone@joints: knn/top1_k1: ') and 'is published' in fault


def test_a_changed_probe_disagrees(published, trained, tmp_path):
    content = read_checkpoint(published)
    weights = content['probe']['tensors']['weights']
    probe = {
        f'{PROBE_PREFIX}weights': weights.new_zeros(len(weights), 4),
        f'{PROBE_PREFIX}bias': weights.new_tensor([0, 0, 0, 1]),
    }
    content['meta']['probe']['classes'].append('another')  # and every clip is of that
    path = tmp_path / 'a.safetensors'
    path.write_bytes(pack_tensors({**content['state_dict'], **probe}, content['meta']))
    check = check_published(path, str(trained.parents[2] / 'data/demo'))
    assert [row[0] for row in check.rows if row[-1] == 'differs'] == ['backbone@joints: stored probe/top1']


def test_one_clip_or_a_tenth_of_a_point_is_no_difference():
    result = {'metrics': {'top1': 80.0}}
    for found, clips, differs in ((80.5, 200, False), (81.0, 200, True), (80.1, 20000, False), (80.2, 20000, True)):
        assert bool(differences(result, {'top1': found}, clips)) is differs
    assert differences(result, {}, 10) and differences(result, {'top1': float('nan')}, 10)


@pytest.mark.parametrize(
    'change',
    [
        lambda meta: meta['published']['results'][0].pop('metrics'),
        lambda meta: meta['published']['results'].append(3),
        lambda meta: meta['published']['results'][0].update(protocol='other'),
        lambda meta: meta['published']['results'][0]['settings'].update(folds='many'),
        lambda meta: meta['published']['results'][0].update(clips=None, seed='x'),
    ],
)
def test_damaged_results_are_one_line(published, trained, tmp_path, change):
    path = tampered(published, tmp_path / 'a.safetensors', change)
    with pytest.raises(CheckpointError, match=r'a.safetensors: its results are damaged|^'):
        check_published(path, str(trained.parents[2] / 'data/demo'), 'cpu')
        raise CheckpointError('')  # a change without effect


def test_features_have_the_precision_of_the_record(trained, tmp_path, monkeypatch):
    """Not that of the training: with amp='auto' one on a GPU is in bfloat16, an evaluation on a CPU is not."""
    cfg, data = config_of(trained), str(trained.parents[2] / 'data/demo')
    cfg.evaluation = dict(autocast=True)
    record = tmp_path / 'record.json'
    Evaluation(cfg, trained, ['probe'], device='cpu', readouts=['joints']).run(record)
    done = publish(trained, tmp_path / 'zoo', [record], 'bf16', data, 'cpu')
    used = []

    def watched(*arguments, autocast, **options):
        used.append(autocast)
        return extract_features(*arguments, autocast=autocast, **options)

    monkeypatch.setattr(again, 'extract_features', watched)
    assert not check_published(done.file, data, 'cpu').faults and used == [True, True]


def test_the_config_of_a_file_imports_nothing(published, trained, tmp_path):
    def hostile(meta):
        meta['config']['optim_wrapper'] = {'type': 'this.translate'}

    file = tampered(published, tmp_path / 'a.safetensors', hostile)
    check_published(file, str(trained.parents[2] / 'data/demo'), 'cpu')
    assert 'this' not in sys.modules


@pytest.mark.parametrize(
    ('config', 'expected'),
    [
        ({}, False),
        ({'optim_wrapper': {'type': 'AutocastOptimWrapper'}}, True),
        ({'optim_wrapper': {'type': 'AutocastOptimWrapper'}, 'evaluation': {'autocast': False}}, False),
        ({'optim_wrapper': {'type': 'OptimWrapper'}, 'evaluation': {'autocast': True}}, True),
        ({'optim_wrapper': 3, 'evaluation': None}, False),
    ],
)
def test_the_precision_of_an_older_record_is_that_of_the_training(config, expected):
    assert again.in_bfloat16(config) is expected


def test_settings_of_a_file_build_evaluators_alone(published, trained, tmp_path):
    """What names another component is not built."""

    def hostile(meta):
        meta['published']['results'][0]['settings'] = {'type': 'os.system', 'command': 'true'}
        meta['published']['results'][1]['settings'] = {'type': 'KNNEvaluator', 'k': {'type': 'SGD'}}
        meta.pop('probe')

    content = read_checkpoint(published)
    hostile(content['meta'])
    path = tmp_path / 'a.safetensors'
    path.write_bytes(pack_tensors(content['state_dict'], content['meta']))
    check = check_published(path, str(trained.parents[2] / 'data/demo'))
    assert {row[-1] for row in check.rows} == {'not repeated'}


def test_verify_and_publish_on_the_command_line(skeattn, zoo, tmp_path):
    status, out, _ = skeattn(
        'publish', 'work_dirs/toy', '--out', tmp_path / 'zoo', '--name', 'again', '--device', 'cpu'
    )
    assert status == 0 and out.splitlines()[-1] == 'probe: probe on backbone@joints'
    folder = tmp_path / 'zoo/again'
    for x in (folder, next(folder.glob('*.safetensors')), 'toy'):
        status, out, _ = skeattn('verify', x, '--device', 'cpu')
        assert status == 0 and out.endswith(' is intact, and its numbers agree\n')
    status, out, _ = skeattn('verify', 'toy', '--json')
    found = json.loads(out[out.index('{') :])
    assert status == 0 and found['faults'] == [] and found['rows'][0][3] == 'agrees'
    status, out, _ = skeattn('info', 'toy')
    assert status == 0 and 'numbers                backbone@joints: probe top1 ' in out
    status, out, _ = skeattn('verify', 'work_dirs/toy/epoch_1.pth')
    assert status == 0 and out.endswith('epoch_1.pth is intact\n')


@pytest.mark.slow
def test_a_classifier_is_exported_with_its_encoder(skeattn, published, tmp_path, trained):
    status, out, _ = skeattn('export', 'torch', 'toy', '--source', 'probe', '--out', tmp_path / 'probe.pt2')
    assert status == 0 and 'to probabilities from backbone@joints' in out
    encoder = load_encoder(published, device='cpu')
    inputs = torch.rand(2, 3, 16, 25, 1)
    with torch.no_grad():
        features = encoder.model.features({'inputs': inputs}, source='backbone@joints')
    found = torch.export.load(tmp_path / 'probe.pt2').module()(inputs)
    torch.testing.assert_close(found, encoder.probe.probabilities(features).float(), atol=1e-5, rtol=1e-4)
    few = encoder.fit_few_shot(str(trained.parents[2] / 'data/demo'))
    few.save(tmp_path / 'few.npz')
    status, out, _ = skeattn(
        'export', 'torch', 'toy', '--few-shot', tmp_path / 'few.npz', '--out', tmp_path / 'few.pt2'
    )
    assert status == 0 and ' to probabilities from backbone@' in out
    found = torch.export.load(tmp_path / 'few.pt2').module()(inputs)
    with torch.no_grad():
        features = encoder.model.features({'inputs': inputs}, source='backbone@joints')
    expected = few.probe(features)
    torch.testing.assert_close(found[:, :-1], expected.probabilities, atol=1e-5, rtol=1e-4)
    assert torch.equal(found[:, -1] == 1, expected.unknown)


def test_bad_input_is_one_line(skeattn, zoo, published, tmp_path):
    other = write_set(tmp_path / 'other', clips=20)
    cut = tmp_path / 'cut.safetensors'
    cut.write_bytes(published.read_bytes()[:1000])
    bare = tmp_path / 'bare.pth'
    bare.write_bytes((zoo.parent / 'work_dirs/toy/epoch_1.pth').read_bytes())
    cases = [
        (('verify', 'toy', '--data', other), 'is not the set of the published numbers'),
        (('verify', 'toy', '--data', 'nowhere'), 'no packed set at nowhere'),
        (('verify', 'nowhere'), 'no packed set at nowhere'),
        (('verify', 'data/demo', '--data', 'data/demo'), '--data and --device belong to published encoders'),
        (('publish', 'nowhere', '--out', tmp_path), 'nowhere: no such checkpoint'),
        (('publish', bare, '--out', tmp_path), 'has no record beside it'),
        (('publish', 'work_dirs/toy', '--record', 'no.json'), 'no.json: no such record'),
        (('publish', 'work_dirs/toy', '--out', 'zoo', '--name', 'toy'), 'holds a published encoder'),
        (('publish', 'work_dirs/toy', '--device', 'tpu9'), '--device tpu9'),
        (('embed', cut, 'data/demo', '--out', tmp_path / 'a.npz'), 'cut.safetensors is damaged: it ends within its'),
        (('info', cut), 'cut.safetensors is damaged'),
        (('export', 'onnx', bare, '--source', 'probe', '--out', tmp_path / 'a'), 'has no probe; publish the encoder'),
        (('export', 'onnx', 'toy', '--few-shot', 'no.npz', '--out', tmp_path / 'a'), 'no.npz does not exist'),
        (
            ('export', 'onnx', 'toy', '--source', 'probe', '--readout', 'mean', '--out', tmp_path / 'a'),
            'a classifier has its own features',
        ),
    ]
    for arguments, message in cases:
        status, _, err = skeattn(*arguments)
        errors = [line for line in err.splitlines() if line.startswith('error: ')]
        assert status == 2 and len(errors) == 1 and message in errors[0], (arguments, err)
        assert 'Traceback' not in err
    status, _, err = skeattn('verify', cut)
    assert status == 1 and err.startswith(f'fault: {cut} is damaged: it ends within its header')
