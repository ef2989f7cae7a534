"""convert_released.py as a user runs it: files the releases could have written, and files that they did not."""

from collections import OrderedDict

import pytest
import torch

from skeattn.apis import load_model, read_checkpoint
from skeattn.engine.config import read_config, resolve_config
from skeattn.errors import CheckpointError
from skeattn.files import sha256
from skeattn.registry import MODELS
from tests.conftest import ROOT
from tests.engine.toy import SHORT_MIX, tool, write_config
from tests.models.released import config_of, masked_state, random_state, released, released_state

pytestmark = pytest.mark.slow

SCRIPT = 'model_converters/convert_released.py'


@pytest.fixture
def run(tool):
    """Arguments -> exit status, output, error output."""
    return lambda *arguments, script=SCRIPT: tool(script, *arguments)


def rows(out):
    """The report's rows by their first word."""
    return dict(line.split(maxsplit=1) for line in out.splitlines() if line and line[0].isalpha() and ' ' in line)


def test_the_printed_lines_make_a_config_that_takes_the_file(tmp_path, run):
    config = config_of('skeattnclr', hidden=6)
    state = random_state(config)
    torch.save(released_state(state, 'skeattnclr', 'agcn'), tmp_path / 'epoch300_model.pt')
    out = tmp_path / 'deep' / 'ours.pth'
    status, printed, err = run(tmp_path / 'epoch300_model.pt', '--out', out)
    assert status == 0, err
    lines = printed[printed.index('layout = ') : printed.index('wrote ')]
    path = write_config(tmp_path, lines=f'{lines}\nmodel.update({SHORT_MIX.lstrip(", ")})\n')

    status, printed, err = run(tmp_path / 'epoch300_model.pt', '--out', out, '--config', path)
    assert (status, rows(printed)['fits']) == (0, str(path)), err
    model = load_model(path, out)
    assert model.state_dict().keys() == state.keys()
    assert all(torch.equal(model.state_dict()[name], value) for name, value in state.items())
    status, _, err = run(path, out, script='test.py')
    assert status == 0, err


def test_meta_says_where_the_weights_come_from(tmp_path, run):
    source = tmp_path / 'epoch300_model.pt'
    torch.save(released('hiclr'), source)
    assert run(source, '--out', tmp_path / 'ours.pth', '--stream', 'motion')[0] == 0
    meta = read_checkpoint(tmp_path / 'ours.pth')['meta']
    assert meta == {
        'method': 'hiclr',
        'source': 'epoch300_model.pt',
        'source_sha256': sha256(source),
        'stream': 'motion',
        'layout': 'ntu25',
    }


def test_a_config_of_another_stream_refuses_the_file(tmp_path, run):
    torch.save(released('skeattnclr', hidden=6), tmp_path / 'released.pt')
    status, printed, _ = run(tmp_path / 'released.pt', '--out', tmp_path / 'ours.pth', '--stream', 'bone')
    assert status == 0
    path = write_config(tmp_path, lines=printed[printed.index('layout = ') : printed.index('wrote ')])
    load_model(path, tmp_path / 'ours.pth')
    with pytest.raises(CheckpointError, match="stream='bone'"):
        load_model(read_config(path, {'stream': 'joint'}), tmp_path / 'ours.pth')


def test_the_report_counts_and_lists_every_name(tmp_path, run):
    theirs = released('skeattnclr')
    torch.save(theirs, tmp_path / 'released.pt')
    _, out, _ = run(tmp_path / 'released.pt', '--out', tmp_path / 'ours.pth', '--verbose')
    listed = [line.split() for line in out.splitlines() if line.startswith(('loaded   ', 'ignored  '))]
    assert {words[1].rstrip(':') for words in listed} >= theirs.keys()
    assert 'loaded   predictor_ns.mlp.0.weight -> predictors.ns.layers.0.weight' in out
    assert 'loaded   encoder_q.backbone.data_bn.bias\n' in out
    assert 'ignored  queue_s: never read' in out
    ours = read_checkpoint(tmp_path / 'ours.pth')['state_dict']
    renamed = len(ours.keys() - theirs.keys())
    assert f'{len(ours)} of {len(theirs)} tensors, {renamed} of them renamed' in out
    assert rows(out)['missing'] == 'nothing'


@pytest.mark.parametrize('method', ['skeletonclr', 'aimclr'])
def test_names_of_two_releases_need_a_word(tmp_path, run, method):
    torch.save(released(method), tmp_path / 'released.pt')
    status, _, err = run(tmp_path / 'released.pt', '--out', tmp_path / 'ours.pth')
    assert status == 2
    assert 'both skeletonclr and aimclr; choose --method skeletonclr or aimclr' in err
    assert not (tmp_path / 'ours.pth').exists()
    status, _, err = run(tmp_path / 'released.pt', '--out', tmp_path / 'ours.pth', '--method', method)
    assert status == 0, err
    assert read_checkpoint(tmp_path / 'ours.pth')['meta']['method'] == method


def test_files_of_old_torch_versions_can_be_read(tmp_path, run):
    state = OrderedDict(released('skelemixclr'))
    torch.save(state, tmp_path / 'released.pt', _use_new_zipfile_serialization=False)
    assert run(tmp_path / 'released.pt', '--out', tmp_path / 'ours.pth')[0] == 0


def without(state, *patterns):
    return {name: value for name, value in state.items() if not any(pattern in name for pattern in patterns)}


@pytest.mark.parametrize(
    ('change', 'options', 'message'),
    [
        (lambda s: {**s, 'teacher.weight': torch.zeros(2)}, [], 'released HiCLR does not have (teacher.weight)'),
        (lambda s: s, ['--method', 'crossclr'], 'not those of --method crossclr; choose --method hiclr'),
        (lambda s: {'conv1.weight': torch.zeros(2)}, [], 'those of no release (conv1.weight); give a checkpoint'),
        (lambda s: convert(s), [], 'use it unconverted, it is of this toolbox'),
        (lambda s: without(s, 'fc.2'), [], 'incomplete'),
        (lambda s: without(s, 'encoder_q.st_gcn_networks.3.'), [], 'does not fit the model'),
        (lambda s: {**s, 'encoder_k.data_bn.bias': torch.zeros(9)}, [], 'encoder_k.backbone.data_bn.bias (9,)'),
        (lambda s: {'state': s, 'names': [torch.nn.Linear(1, 1)]}, [], 'beside tensors and plain values'),
        (lambda s: {'epoch': 3}, [], 'not a tensor'),
    ],
)
def test_an_error_is_reported_and_nothing_is_written(tmp_path, run, change, options, message):
    torch.save(change(released('hiclr')), tmp_path / 'released.pt')
    status, _, err = run(tmp_path / 'released.pt', '--out', tmp_path / 'ours.pth', *options)
    assert status == 2
    assert err.startswith(f'error: {tmp_path / "released.pt"}') and message in err
    assert [path.name for path in tmp_path.iterdir()] == ['released.pt']


def convert(state):
    return tool('model_converters/convert_released').convert_released(state, 'hiclr').state


def test_other_encoders_of_skeattnclr_are_refused(tmp_path, run):
    state = {name.replace('st_gcn_networks.0.', 'encoder.gru.'): v for name, v in released('skeattnclr').items()}
    torch.save(without(state, 'st_gcn'), tmp_path / 'released.pt')
    status, _, err = run(tmp_path / 'released.pt', '--out', tmp_path / 'ours.pth')
    assert (status, 'a release with ST-GCN' in err) == (2, True)


def test_unknown_names_are_left_out_on_request(tmp_path, run):
    torch.save({**released('hiclr'), 'teacher.weight': torch.zeros(2)}, tmp_path / 'released.pt')
    status, out, err = run(tmp_path / 'released.pt', '--out', tmp_path / 'ours.pth', '--ignore-unknown', '--verbose')
    assert status == 0, err
    assert 'ignored  teacher.weight: unknown' in out
    assert 'teacher.weight' not in read_checkpoint(tmp_path / 'ours.pth')['state_dict']


def test_a_lost_queue_is_reported_missing(tmp_path, run):
    torch.save(without(released('hiclr'), 'queue'), tmp_path / 'released.pt')
    status, out, err = run(tmp_path / 'released.pt', '--out', tmp_path / 'ours.pth')
    assert status == 0, err
    assert rows(out)['missing'] == '2 (queue.keys, queue.pointer), left at random'


def test_a_classifier_is_read_as_recognizer(tmp_path, run):
    theirs = {n: v for n, v in released('aimclr').items() if n.startswith('encoder_q.') and '.fc.' not in n}
    head = {'encoder_q.fc.weight': torch.randn(7, 8), 'encoder_q.fc.bias': torch.randn(7)}
    torch.save({**theirs, **head}, tmp_path / 'released.pt')
    status, out, err = run(tmp_path / 'released.pt', '--out', tmp_path / 'ours.pth')
    assert status == 0, err
    assert rows(out)['read'].split() == ['as', 'Recognizer']
    assert 'num_classes = 7\n' in out and 'features, logits (tools/test.py)' in out
    torch.save(theirs, tmp_path / 'released.pt')
    _, out, _ = run(tmp_path / 'released.pt', '--out', tmp_path / 'ours.pth')
    assert rows(out)['missing'] == '2 (head.fc.weight, head.fc.bias), left at random'
    assert 'num_classes' not in out and 'logits' not in out


def test_a_stream_is_required_if_there_are_several(tmp_path, run):
    theirs = released('crossclr')
    torch.save(theirs, tmp_path / 'released.pt')
    line = (tmp_path / 'released.pt', '--out', tmp_path / 'ours.pth')
    assert 'it holds joint, motion, bone together, not only --stream bone' in run(*line, '--stream', 'bone')[2]
    assert run(*line)[0] == 0
    assert read_checkpoint(tmp_path / 'ours.pth')['meta']['stream'] == ['joint', 'motion', 'bone']

    torch.save({n: v for n, v in theirs.items() if 'encoder_q' in n and '.fc.' not in n}, tmp_path / 'released.pt')
    assert 'a classifier for each of joint, motion, bone; choose one with --stream' in run(*line)[2]
    assert run(*line, '--stream', 'bone')[0] == 0
    ours = read_checkpoint(tmp_path / 'ours.pth')
    assert ours['meta']['stream'] == 'bone'
    name = 'data_bn.running_mean'
    assert torch.equal(ours['state_dict'][f'encoder.backbone.{name}'], theirs[f'encoder_q_bone.{name}'])


SKELETONCLR = 'model = dict({key: model[key] for key in ("backbone", "projector", "queue")}, type="SkeletonCLR")\n' + (
    'model.update(loss=dict(type="InfoNCE"), data_preprocessor=dict(type="SkeletonPreprocessor"), _delete_=True)'
)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ('stream = "bone"', "its stream is 'bone', not 'joint'"),
        ('model["queue"]["size"] = 7', 'queue.keys (3, 6), not (3, 7)'),
        pytest.param(SKELETONCLR, 'its model is SkeletonCLR, not SkeAttnCLR', marks=pytest.mark.slow),
        pytest.param('model["backbone"]["graph"] = "spatial"', "its graph is not 'agcn'", marks=pytest.mark.slow),
        pytest.param('model["heads"] = "paper"', 'unexpected', marks=pytest.mark.slow),
    ],
)
def test_a_config_that_does_not_fit_is_refused(tmp_path, run, options, message):
    torch.save(released('skeattnclr', hidden=6), tmp_path / 'released.pt')
    line = (tmp_path / 'released.pt', '--stream', 'joint', '--out', tmp_path / 'ours.pth')
    printed = run(*line)[1]
    (tmp_path / 'ours.pth').unlink()
    lines = printed[printed.index('layout = ') : printed.index('wrote ')]
    path = write_config(tmp_path, lines=f'{lines}\n{options}\n')
    status, _, err = run(*line, '--config', path)
    assert status == 2
    assert message in err and "type='SkeAttnCLR'" in err
    assert not (tmp_path / 'ours.pth').exists()


def test_the_source_is_never_written_over(tmp_path, run):
    torch.save(released('hiclr'), tmp_path / 'released.pt')
    digest = sha256(tmp_path / 'released.pt')
    assert run(tmp_path / 'released.pt', '--out', tmp_path / 'released.pt')[0] == 2
    assert sha256(tmp_path / 'released.pt') == digest


def test_masked_models_of_the_published_size_fit_the_configs_of_their_set(tmp_path, run):
    """The decoder has 3 layers on NTU-60, 5 on the other sets."""
    for deep, fits, other in (('', 'ntu60_xsub', 'ntu120_xsub'), ('_deep', 'ntu120_xsub', 'ntu60_xsub')):
        cfg = read_config(ROOT / f'configs/mamp/transformer_{fits}.py')
        model = MODELS.build(resolve_config(cfg).model)
        torch.save(masked_state(model.state_dict()), tmp_path / f'released{deep}.pt')
        status, out, err = run(tmp_path / f'released{deep}.pt', '--out', tmp_path / 'ours.pth', '--stream', 'joint')
        assert status == 0, err
        assert f'configs/mamp/transformer_{fits}.py' in out and other not in out
        ours = read_checkpoint(tmp_path / 'ours.pth')['state_dict']
        assert all(torch.equal(ours[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize('method', ['skeattnclr', 'skeletonclr', 'crossclr', 'aimclr', 'hiclr', 'skelemixclr'])
def test_weights_of_the_published_widths_fit_the_released_config(tmp_path, run, method):
    base = 64 if method == 'skeattnclr' else 16
    widths = dict(base=base, out=256, hidden=256, embedding=128, queue=32768)
    torch.save(released(method, **widths), tmp_path / 'released.pt')
    options = [] if method == 'crossclr' else ['--stream', 'joint']
    status, out, err = run(tmp_path / 'released.pt', '--out', tmp_path / 'ours.pth', '--method', method, *options)
    assert status == 0, err
    assert f'configs/{method}/stgcn_ntu60_xsub_released.py' in out
