"""test.py as a user runs it."""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch

from skeattn.apis import build_splits, load_model
from skeattn.datasets import PackedSet, PackedWriter, split
from skeattn.engine.config import read_config, resolve_config
from skeattn.errors import DataError
from skeattn.evaluation import KNNEvaluator, LinearProbe, RidgeProbe, extract_features, raw_features
from skeattn.evaluation.baselines import untrained
from skeattn.evaluation.complexity import encoder_cost, sample_batch
from skeattn.evaluation.metrics import accuracy
from skeattn.experiments.comparison import make_rows
from skeattn.files import sha256
from skeattn.protocols import evaluate, plan, scratch
from skeattn.results.record import Record, read
from skeattn.results.score_file import ScoreFile
from tests.engine.toy import CLASSES, write_config

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def run(tmp_path_factory) -> Path:
    """A config, a data set and a checkpoint."""
    folder = tmp_path_factory.mktemp('test_tool')
    torch.manual_seed(5)
    torch.save({'state_dict': load_model(read_config(write_config(folder))).state_dict()}, folder / 'epoch_7.pth')
    return folder


@pytest.fixture
def tool(tool):
    return partial(tool, 'test.py')


def written(out: str) -> Record:
    """The record that the tool reports."""
    return read(re.search(r'^wrote (.+\.json)$', out, re.M)[1])


def test_table_and_record_hold_the_numbers_of_the_evaluators(run: Path, tool) -> None:
    status, out, err = tool(run / 'toy.py', run / 'epoch_7.pth', '--baselines', '--seed', 4)
    assert status == 0, err
    cfg = resolve_config(read_config(run / 'toy.py'))
    train, test = build_splits(cfg)
    model = load_model(cfg, run / 'epoch_7.pth')
    bank, queries = extract_features(model, train), extract_features(model, test)
    record = written(out)
    row = record.sources['backbone'].metrics
    assert {key: row[f'knn/{key}'] for key in ('top1_k1', 'top1_k5')}.items() <= KNNEvaluator((1, 5))(
        bank, queries
    ).items()
    # The toy config removes the linear probe from training; here it always runs, with the requested seed.
    assert row['linear/top1_best'] == LinearProbe(seed=4)(bank, queries)['top1_best']
    raw = KNNEvaluator((1,))(raw_features(train), raw_features(test))['top1_k1']
    assert record.baselines['raw coordinates']['knn/top1_k1'] == raw
    assert list(record.baselines) == ['raw coordinates', 'untrained, 3 seeds']
    assert record.checkpoint_sha256 == sha256(run / 'epoch_7.pth')
    assert (record.seed, record.split, record.stream) == (4, 'xsub', 'joint')
    table = [line.split() for line in out.splitlines()]
    assert ['K=1', 'K=5', 'held-out', 'K'] in table
    last = [
        'last',
        'epoch',
        'best',
        'on',
        'test',
        'held-out',
        'epoch',
        'mean,',
        'probe',
        'seeds',
        '±',
        'probe',
        'seeds',
    ]
    assert last in table
    for protocol, columns in (('knn', ('k1', 'k5', 'heldout')), ('linear', ('', 'best', 'heldout', 'mean', 'std'))):
        numbers = [f'{row[f"{protocol}/top1_{column}".rstrip("_")]:.1f}' for column in columns]
        assert ['epoch_7', *numbers] in table


def test_protocols_use_the_device_of_the_network_or_their_own(run: Path) -> None:
    cfg = resolve_config(read_config(run / 'toy.py', {'protocols.linear.device': 'meta'}))
    evaluation = evaluate.Evaluation(cfg, run / 'epoch_7.pth', ['knn', 'linear', 'probe'], device='cpu')
    evaluation.device = 'cuda:3'
    devices = {name: evaluator.device for name, evaluator in evaluation._evaluators().items()}
    assert devices == {'knn': 'cuda:3', 'linear': 'meta', 'probe': 'cuda:3'}
    assert all('device' not in evaluation.used[name] for name in ('knn', 'probe'))  # of no record's identity


def test_source_and_overrides_reach_model_and_record(run: Path, tool) -> None:
    line = (run / 'toy.py', run / 'epoch_7.pth', '--source', 'projector', '--out', run / 'deep' / 'b.json')
    status, out, err = tool(*line, '--cfg-options', 'stream=bone')
    assert status == 0, err
    record = read(run / 'deep' / 'b.json')
    assert (record.stream, record.cfg_options) == ('bone', {'stream': 'bone'})
    assert record.sources['projector'].streams == ['bone']
    cfg = resolve_config(read_config(run / 'toy.py', {'stream': 'bone'}))
    model = load_model(cfg, run / 'epoch_7.pth')
    features = [extract_features(model, dataset, source='projector') for dataset in build_splits(cfg)]
    top1 = record.sources['projector'].metrics['knn/top1_k5']
    assert top1 == KNNEvaluator((5,))(*features)['top1_k5']
    assert 'bone stream' in out


PIPELINE = {'off': None, 'window': {'num_frames': 20}, 'resample': {'num_frames': 16}}


@pytest.mark.parametrize(
    'meta',
    [
        {'num_frames': 16},
        pytest.param({'cfg': f"dataset = {{'pipeline': {PIPELINE}}}"}, marks=pytest.mark.slow),
        pytest.param({'cfg': 'a config that cannot be read'}, marks=pytest.mark.slow),
    ],
)
def test_clips_of_another_length_than_in_training_are_reported(
    run: Path, tool, tmp_path: Path, monkeypatch, meta: dict
) -> None:
    weights = torch.load(run / 'epoch_7.pth', weights_only=True)
    torch.save({**weights, 'meta': meta}, tmp_path / 'a.pth')
    option, then = 'dataset.pipeline.resample.num_frames', None if meta.get('cfg', '').startswith('a') else 16
    for evaluated in (12, 16):
        warnings: list[str] = []
        monkeypatch.setattr(evaluate, 'print_log', lambda text, *_, warnings=warnings: warnings.append(text))
        out = tmp_path / f'{evaluated}.json'
        line = (run / 'toy.py', tmp_path / 'a.pth', '--protocol', 'knn', '--out', out)
        status, _, err = tool(*line, '--cfg-options', f'{option}={evaluated}')
        assert status == 0, err
        assert read(out).num_frames == {'pretrained': then, 'evaluated': evaluated}
        lengths = 'clips of 16 frames and is evaluated on clips of 12'
        expected = f'{tmp_path / "a.pth"} was trained on {lengths}; for equal lengths: --cfg-options {option}=16'
        assert warnings == ([expected] if then and evaluated == 12 else [])


def test_a_work_dir_stands_for_its_newest_checkpoint(run: Path, tool) -> None:
    facts = json.dumps({'name': 'mine', 'config': 'configs/original.py'})
    status, _, err = tool(run / 'toy.py', run, '--facts', facts, '--out', run / 'newest.json')
    assert status == 0, err
    record = read(run / 'newest.json')
    assert (record.checkpoint, record.name, record.config) == ('epoch_7.pth', 'mine', 'configs/original.py')
    status, _, err = tool(run / 'toy.py', run / 'set')
    assert status == 2 and 'set holds no checkpoint; train first' in err


def test_untrained_network_and_coordinates_are_evaluated_without_a_checkpoint(run: Path, tool) -> None:
    line = (run / 'toy.py', 'untrained', '--seed', 2, '--out', run / 'untrained.json')
    status, out, err = tool(*line, '--source', 'raw', '--source', 'projector')
    assert status == 0, err
    record = read(run / 'untrained.json')
    assert (record.checkpoint, record.training, record.seed) == (None, None, 2)
    cfg = resolve_config(read_config(run / 'toy.py'))
    train, test = build_splits(cfg)
    model = untrained(partial(load_model, cfg), train, 2, source='projector')
    for source, features in (
        ('raw', [raw_features(part) for part in (train, test)]),
        ('projector', [extract_features(model, part, source='projector') for part in (train, test)]),
    ):
        metrics = record.sources[source].metrics
        assert metrics['linear/top1'] == LinearProbe(seed=2)(*features)['top1']
        row = 'raw coordinates' if source == 'raw' else f'untrained, seed 2, {source}'
        assert any(line.startswith(row) for line in out.splitlines())
    assert (record.sources['raw'].parameters, record.sources['raw'].gmacs) == (0, 0)
    part = record.sources['projector']
    assert {'parameters': part.parameters, 'gmacs': part.gmacs} == encoder_cost(model, sample_batch(train), 'projector')


def test_a_classifier_is_evaluated_by_features_and_by_its_own_logits(tmp_path: Path, tool) -> None:
    model = "dict(_delete_=True, type='Recognizer', head=dict(type='LinearHead'), " \
            "backbone=dict(type='STGCN', base_channels=2, out_channels=8), " \
            "data_preprocessor=dict(type='SkeletonPreprocessor', views=dict(query=dict())))"  # fmt: skip
    base = write_config(tmp_path, 'skeletonclr')
    config = tmp_path / 'supervised.py'
    config.write_text(f'_base_ = {str(base)!r}\nnum_classes = {CLASSES}\nmodel = {model}\n')
    network = load_model(read_config(config))
    torch.save({'state_dict': network.state_dict()}, tmp_path / 'a.pth')
    status, out, err = tool(config, tmp_path / 'a.pth')
    assert status == 0, err
    record = written(out)
    assert list(record.sources) == ['backbone', 'logits']
    logits = extract_features(network, build_splits(resolve_config(read_config(config)))[1], source='logits')
    top1 = 100 * (logits.x.argmax(1) == logits.labels).double().mean().item()
    assert record.sources['logits'].metrics == {'topk/top1': pytest.approx(top1)}
    assert {'knn/top1_k1', 'linear/top1'} <= record.sources['backbone'].metrics.keys()
    assert record.training.parameters == sum(p.numel() for p in network.parameters())
    assert {row.name for row in make_rows([record])} == {'Recognizer', 'Recognizer, own classifier'}


def test_several_protocols_share_one_extraction_and_leave_scores_and_a_map(run: Path, tool, monkeypatch) -> None:
    """Kind N6: outputs that do not name themselves."""
    pytest.importorskip('sklearn')
    calls = []
    monkeypatch.setattr(
        evaluate, 'extract_features', lambda *args, **more: calls.append(args[3]) or extract_features(*args, **more)
    )
    options = ('tsne.perplexity=3', 'tsne.neighbours=4', 'linear.epochs=3', 'knn_released.source=projector')
    line = (run / 'toy.py', run / 'epoch_7.pth', '--protocol', 'linear,retrieval', 'tsne', '{knn_released}')
    status, out, err = tool(
        *line, '--out', run / 'many' / 'r.json', '--cfg-options', *(f'protocols.{option}' for option in options)
    )
    assert status == 0, err
    assert calls == ['backbone'] * 2 + ['projector'] * 2
    record = written(out)
    assert {name: settings['type'] for name, settings in record.protocols.items()} == {
        'linear': 'LinearProbe', 'retrieval': 'Retrieval', 'tsne': 'EmbeddingMap', 'knn_released': 'KNNEvaluator'
    }  # fmt: skip
    assert record.protocols['linear']['epochs'] == 3
    part = record.sources['backbone']
    assert list(part.protocols) == ['linear', 'retrieval', 'tsne']
    linear = part.protocols['linear']
    assert linear.selection.keys() == {'top1', 'top1_best', 'top1_heldout', 'top1_mean', 'top1_std'}
    assert [*linear.facts['top1_by_seed']] == ['0', '1', '2', '3', '4']
    assert linear.selection['top1'] == 'last epoch' and len(linear.curves['loss']) == 3
    assert sum(map(sum, linear.confusion)) == 10 and list(linear.per_class) == ['class0', 'class1', 'class2']
    assert linear.scores == 'r.backbone.linear.npz'
    assert linear.scores_sha256 == sha256(run / 'many' / linear.scores)
    scores = ScoreFile.read(run / 'many' / linear.scores)
    assert accuracy(scores.test.scores, scores.test.labels) == part.metrics['linear/top1']
    assert (scores.facts['protocol'], scores.facts['stream'], scores.facts['source']) == (
        'linear',
        'joint',
        'backbone',
    )
    assert scores.facts['checkpoint_sha256'] == sha256(run / 'epoch_7.pth')
    assert part.protocols['tsne'].files['map'] == 'r.backbone.tsne.map.png'
    assert sorted(path.name for path in (run / 'many').iterdir()) == [
        'r.backbone.linear.npz', 'r.backbone.tsne.map.png', 'r.backbone.tsne.points.npz', 'r.json',
        'r.projector.knn_released.npz',
    ]  # fmt: skip
    table = [line.split() for line in out.splitlines()]
    numbers = [f'{part.metrics[f"retrieval/{key}"]:.1f}' for key in ('mAP', 'r1', 'r5', 'r10')]
    assert ['epoch_7,', 'backbone', *numbers] in table
    for name in ('r.backbone.tsne.points.npz', 'r.backbone.tsne.map.png', 'r.backbone.linear.npz', 'r.json'):
        assert f'wrote {run / "many" / name}' in out.splitlines()


def test_another_evaluation_has_another_record_and_the_same_one_the_same_numbers(run: Path, tool) -> None:
    names = []
    for options in ([], [], ['--seed', 1], ['--cfg-options', 'protocols.knn.k=[3]'], ['--source', 'projector']):
        status, out, err = tool(run / 'toy.py', run / 'epoch_7.pth', '--protocol', 'knn', *options)
        assert status == 0, err
        names.append(re.search(r'^wrote (.+\.json)$', out, re.M)[1])
        assert re.fullmatch(r'test_epoch_7_[0-9a-f]{8}\.json', Path(names[-1]).name)
    assert names[0] == names[1] and len(set(names)) == 4


def test_unknown_subjects_leave_a_blank_column_with_a_reason(run: Path, tool, monkeypatch) -> None:
    def nobody(cfg):
        train, test = build_splits(cfg)
        train.subjects = torch.full((len(train),), -1)
        return train, test

    monkeypatch.setattr(evaluate, 'build_splits', nobody)
    line = (run / 'toy.py', 'untrained', '--protocol', 'linear', '--out', run / 'nobody.json')
    status, out, err = tool(*line, '--cfg-options', 'protocols.linear.epochs=1')
    assert status == 0, err
    assert 'no linear held-out epoch: the subjects of the training clips are unknown or only one' in out
    metrics = written(out).sources['backbone'].metrics
    numbers = [f'{metrics[f"linear/{key}"]:.1f}' for key in ('top1', 'top1_best', 'top1_mean', 'top1_std')]
    assert ['untrained,', 'seed', '0', *numbers] in [line.split() for line in out.splitlines()]


def test_classes_that_cannot_be_recognised_are_refused(run: Path) -> None:
    train, test = build_splits(resolve_config(read_config(run / 'toy.py')))
    train.labels = torch.tensor([0, 1] * 13)
    with pytest.raises(DataError, match=r"no training clip, .*'class2'"):
        plan.check_labels(train, test)


def relabelled(run: Path, out: Path, labels: Callable[[int], int]) -> str:
    """The option that reads the same clips with other labels; the ten test clips come first."""
    source = PackedSet.open(run / 'set')
    with PackedWriter(out, 'toy', 'ntu25', source.classes, source.splits) as writer:
        for i in range(len(source)):
            clip, subject = source.clip(i), int(source.table['subject'][i])
            writer.add(str(source.table['name'][i]), clip, label=labels(i), subject=subject)
    return f'dataset.data={out}'


@pytest.mark.parametrize(
    ('labels', 'option', 'message'),
    [
        (lambda i: -1 if i >= 10 else 0, '', 'none of the 26 training clips has a label, such as clip010'),
        (lambda i: -1 if i < 10 else 0, '', 'none of the 10 test clips has a label, such as clip000'),
        (lambda i: 0, 'dataset.split=all', "split 'all' leaves no test clips: it can be used for training alone"),
    ],
)
def test_what_cannot_be_evaluated_is_one_line(
    run: Path, tool, tmp_path: Path, labels: Callable[[int], int], option: str, message: str
) -> None:
    """Evaluation's needs: without labels, or without a test part, the tool ends with one line."""
    options = [relabelled(run, tmp_path / 'set', labels), *([option] if option else [])]
    status, _, err = tool(run / 'toy.py', run / 'epoch_7.pth', '--cfg-options', *options)
    assert status == 2
    assert err.strip().splitlines()[-1].startswith('error: no evaluation: ')
    assert f'{message}; protocols need training and test clips with labels' in err and 'Traceback' not in err


def test_unlabelled_clips_are_in_no_bank_and_no_accuracy(run: Path, tool, tmp_path: Path) -> None:
    """Some clips have a label: results are those of a set that holds these alone."""
    lost = {3, 12, 13, 30}
    option = relabelled(run, tmp_path / 'set', lambda i: -1 if i in lost else i % CLASSES)
    line = (run / 'toy.py', run / 'epoch_7.pth', '--protocol', 'knn', 'linear', '--out', tmp_path / 'a.json')
    status, _, err = tool(*line, '--baselines', '--cfg-options', option)
    assert status == 0, err
    cfg = resolve_config(read_config(run / 'toy.py'))
    train, test = build_splits(cfg)
    model = load_model(cfg, run / 'epoch_7.pth')
    bank = extract_features(model, train).select(torch.tensor([i - 10 for i in range(10, 36) if i not in lost]))
    queries = extract_features(model, test).select(torch.tensor([i for i in range(10) if i not in lost]))
    record = read(tmp_path / 'a.json')
    assert record.clips == {'train': 23, 'test': 9, 'copies': 0, 'unlabelled': 4}
    metrics = record.sources['backbone'].metrics
    assert metrics['knn/top1_k5'] == KNNEvaluator((5,))(bank, queries)['top1_k5']
    assert metrics['linear/top1'] == LinearProbe(seed=0)(bank, queries)['top1']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--protocol', 'liner'], "unknown protocol 'liner'; choose from "),
        (['--protocol', 'knn', '--cfg-options', 'protocols.knn.kk=3'], "protocols.knn: KNNEvaluator takes no 'kk'"),
        (['--protocol', 'topk'], "SkeAttnCLR as configured has no features from 'logits'"),
        (['--protocol', 'tsne', '--cfg-options', 'protocols.linear.epochs=1'], 'perplexity=30.0 needs at least 91'),
        (['--cfg-options', 'model.backbone.base_channels=4'], 'tensors have a different shape than in the model'),
    ],
)
def test_a_failure_names_its_cause_and_overwrites_nothing(run: Path, tool, arguments: list, message: str) -> None:
    pytest.importorskip('sklearn')
    (run / 'kept').mkdir(exist_ok=True)
    (run / 'kept' / 'r.json').write_text('before')
    status, _, err = tool(run / 'toy.py', run / 'epoch_7.pth', '--out', run / 'kept' / 'r.json', *arguments)
    assert status == 2 and message in err
    assert [(path.name, path.read_text()) for path in (run / 'kept').iterdir()] == [('r.json', 'before')]


def test_only_a_record_of_the_same_evaluation_is_replaced(run: Path, tool, tmp_path: Path) -> None:
    out = tmp_path / 'r.json'
    line = (run / 'toy.py', run / 'epoch_7.pth', '--protocol', 'knn', '--out', out)
    for _ in range(2):
        status, _, err = tool(*line)
        assert status == 0, err
    before = out.read_text()
    for options, differs in (
        (['--seed', 1], 'seed'),
        (['--source', 'projector'], 'sources'),
        (['--cfg-options', 'protocols.knn.k=[3]'], 'config_sha256, protocols'),
    ):
        status, _, err = tool(*line, *options)
        assert status == 2 and f'r.json is the record of a different evaluation ({differs} differ)' in err
        assert out.read_text() == before


def test_a_protocol_that_cannot_train_leaves_no_folder(run: Path, tool, tmp_path: Path) -> None:
    out = tmp_path / 'new' / 'r.json'
    status, _, err = tool(run / 'toy.py', run / 'epoch_7.pth', '--protocol', 'knn', 'semi01', '--out', out)
    assert status == 2 and 'a fraction of 0.01 leaves class' in err
    assert not out.parent.exists()


def test_scratch_of_a_killed_evaluation_is_swept_and_one_in_use_stays(run: Path, tool, tmp_path: Path) -> None:
    left, used, of_another = (tmp_path / name for name in ('.r.abcdefgh', '.r.12345678', '.r.more.abcdefgh'))
    for folder in (left, used, of_another):
        folder.mkdir()
        (folder / 'r.knn.npz').touch()
    line = (run / 'toy.py', run / 'epoch_7.pth', '--protocol', 'knn', '--out', tmp_path / 'r.json')
    with scratch.locked(used):
        assert tool(*line)[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {'r.json', 'r.knn.npz', used.name, of_another.name}


@pytest.mark.parametrize(
    ('config', 'checkpoint', 'message'),
    [
        ('nowhere.py', 'epoch_7.pth', 'nowhere.py'),
        ('toy.py', 'nowhere.pth', 'nowhere.pth: no such checkpoint; check the path'),
        ('toy.py', 'toy.py', 'toy.py'),
    ],
)
def test_what_a_user_can_cure_ends_without_traceback(
    run: Path, tool, config: str, checkpoint: str, message: str
) -> None:
    status, _, err = tool(run / config, run / checkpoint)
    assert status == 2
    assert err.startswith('error: ') and message in err


def test_results_without_copies_stand_beside_the_others(run: Path, tool, tmp_path: Path) -> None:
    """Copies across the split: every protocol and baseline is reported for all test clips and without them."""
    source = PackedSet.open(run / 'set')
    train, _ = split(source, 'xsub')
    with PackedWriter(tmp_path / 'set', 'toy', 'ntu25', source.classes, source.splits) as writer:
        for i in range(len(source)):
            copy = int(train[i]) if i < 4 else i  # the test clips come first
            row = {column: int(source.table[column][i]) for column in ('label', 'subject')}
            writer.add(str(source.table['name'][i]), source.clip(copy), **row)
    options = ('--protocol', 'knn', 'linear', '--baselines', '--cfg-options', f'dataset.data={tmp_path / "set"}')
    status, out, err = tool(run / 'toy.py', run / 'epoch_7.pth', '--out', tmp_path / 'a.json', *options)
    assert status == 0, err
    record, cfg = read(tmp_path / 'a.json'), read_config(run / 'toy.py', {'dataset.data': str(tmp_path / 'set')})
    assert record.clips == {'train': 26, 'test': 10, 'copies': 4, 'unlabelled': 0}
    bank, clips = build_splits(resolve_config(cfg))
    model = load_model(cfg, run / 'epoch_7.pth')
    queries = extract_features(model, clips)
    rest = queries.select(torch.arange(4, 10))
    found = record.sources['backbone'].metrics_without_copies
    assert found['knn/top1_k5'] == KNNEvaluator((5,))(extract_features(model, bank), rest)['top1_k5']
    assert found['linear/top1_best'] == LinearProbe(seed=0)(extract_features(model, bank), rest)['top1_best']
    assert found.keys() == record.sources['backbone'].metrics.keys()
    raw = KNNEvaluator((1,))(raw_features(bank), raw_features(clips).select(torch.arange(4, 10)))['top1_k1']
    assert record.baselines['raw coordinates, without copies']['knn/top1_k1'] == raw
    rows = [line.split('  ')[0] for line in out.splitlines()]
    assert rows.count('a, without copies') == 0 and rows.count('epoch_7, without copies') == 2
    assert rows.count('untrained, 3 seeds, without copies') == 2
    assert '4 of 10 test clips equal a training clip; rows "without copies" omit them' in out


def test_readouts_have_separate_sources_files_and_tables(run: Path, tool, tmp_path: Path) -> None:
    line = (run / 'toy.py', run / 'epoch_7.pth', '--protocol', 'knn', '--baselines', '--work-dir', tmp_path)
    status, out, err = tool(*line, '--readout', 'mean', 'joints')
    assert status == 0, err
    record = written(out)
    assert {source: part.readout for source, part in record.sources.items()} == {
        'backbone': 'mean',
        'backbone@joints': 'joints',
    }
    cfg = resolve_config(read_config(run / 'toy.py'))
    model, parts = load_model(cfg, run / 'epoch_7.pth'), build_splits(cfg)
    for source in record.sources:
        features = [extract_features(model, part, source=source) for part in parts]
        assert record.sources[source].metrics['knn/top1_k5'] == KNNEvaluator((5,))(*features)['top1_k5']
    raw = [raw_features(part, 'joints') for part in parts]
    assert record.baselines['raw coordinates, readout joints']['knn/top1_k5'] == KNNEvaluator((5,))(*raw)['top1_k5']
    assert list(record.baselines) == [
        'raw coordinates', 'untrained, 3 seeds',
        'raw coordinates, readout joints', 'untrained, 3 seeds, readout joints',
    ]  # fmt: skip
    names = [line.split('  ')[0].strip() for line in out.splitlines()]
    rows = ['untrained, 3 seeds', 'epoch_7']
    mean, joints = names.index('raw coordinates'), names.index('raw coordinates, whole clip')
    assert names[mean + 1 : mean + 3] == rows and names[joints + 1 : joints + 4] == ['raw coordinates', *rows]
    assert names[joints - 3 : joints - 1] == ['readout', 'joints']
    assert any(path.name.endswith('.backbone@joints.knn.npz') for path in tmp_path.iterdir())
    assert [path.name[: len('test_epoch_7_joints_')] for path in tmp_path.glob('*.json')] == ['test_epoch_7_joints_']


@pytest.mark.parametrize(
    ('options', 'sources'),
    [
        (['--cfg-options', 'evaluation.readout=joints'], ['backbone@joints']),
        (['--cfg-options', 'protocols.knn.readout=joints'], ['backbone', 'backbone@joints']),
        (['--cfg-options', 'evaluation.readout=joints', '--readout', 'mean'], ['backbone']),
        (
            ['--source', 'backbone@joints+segments,raw', '--readout', 'joints'],
            ['backbone@joints+segments', 'raw@joints'],
        ),
    ],
)
def test_a_readout_comes_from_command_protocol_or_config(
    run: Path, tool, tmp_path: Path, options: list, sources: list
) -> None:
    line = (run / 'toy.py', run / 'epoch_7.pth', '--protocol', 'knn', 'linear', '--out', tmp_path / 'r.json')
    status, _, err = tool(*line, *options, '--cfg-options', 'protocols.linear.epochs=1')
    assert status == 0, err
    assert sorted(read(tmp_path / 'r.json').sources) == sources


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--readout', 'joint'], "unknown readout 'joint'"),
        (['--source', 'projector', '--readout', 'joints'], "readout='joints' cannot read 'projector' features"),
        (['--cfg-options', 'evaluation.readout=joint'], "evaluation.readout='joint'"),
    ],
)
def test_a_readout_that_does_not_exist_is_refused(run: Path, tool, options: list, message: str) -> None:
    status, _, err = tool(run / 'toy.py', run / 'epoch_7.pth', '--protocol', 'knn', *options)
    assert status == 2 and message in err


def test_the_probe_has_a_table_without_epochs_and_scores_for_fusion(run: Path, tool, tmp_path: Path) -> None:
    line = (run / 'toy.py', run / 'epoch_7.pth', '--protocol', 'probe', '--readout', 'joints')
    status, out, err = tool(*line, '--out', tmp_path / 'r.json')
    assert status == 0, err
    part = read(tmp_path / 'r.json').sources['backbone@joints']
    result = part.protocols['probe']
    cfg = resolve_config(read_config(run / 'toy.py'))
    model = load_model(cfg, run / 'epoch_7.pth')
    features = [extract_features(model, dataset, readout='joints') for dataset in build_splits(cfg)]
    assert part.metrics == {f'probe/{key}': value for key, value in RidgeProbe()(*features).items()}
    assert result.selection['top1'] == 'penalty chosen on held-out training subjects'
    assert result.facts['chosen_on'] == 'held-out training subjects, 3 folds'
    scores = ScoreFile.read(tmp_path / result.scores)
    assert accuracy(scores.test.scores, scores.test.labels) == part.metrics['probe/top1']
    assert len(scores.heldout) == len(features[0]) and scores.facts['readout'] == 'joints'
    table = [line.split() for line in out.splitlines()]
    assert ['readout', 'probe', 'probe'] in table and ['joints', 'top-1', 'held-out'] in table
    numbers = [f'{part.metrics[f"probe/{key}"]:.1f}' for key in ('top1', 'heldout_top1')]
    assert ['epoch_7', *numbers] in table
