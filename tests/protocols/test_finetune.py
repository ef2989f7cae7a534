"""Fine-tuning: from which weights, on which clips, what it reports, and that nothing is trained twice or anew."""

import copy
import hashlib

import numpy as np
import pytest
import torch
from mmengine.config import Config

from skeattn.apis import load_model
from skeattn.checkpoint import find_newest, read_checkpoint, write_checkpoint
from skeattn.datasets import PackedWriter
from skeattn.engine import SkeAttnRunner
from skeattn.engine.config import resolve_config
from skeattn.engine.hooks import AccuracyHook
from skeattn.errors import CheckpointError, ConfigError, DataError
from skeattn.evaluation.metrics import accuracy
from skeattn.hardware import default_device
from skeattn.protocols.finetune import Finetune, encoder_weights
from skeattn.protocols.settings import read_protocol
from skeattn.protocols.target import EvalTarget
from skeattn.registry import EVALUATORS
from tests.engine.runs import same
from tests.engine.toy import toy_config, write_set

pytestmark = pytest.mark.slow

SGD = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.01, momentum=0.9))


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """36 training clips of 3 classes and 4 subjects, every subject with every class, and 9 test clips."""
    out = tmp_path_factory.mktemp('finetune') / 'set'
    rng = np.random.default_rng(0)
    protocols = {'xsub': {'field': 'subject', 'train': [1, 2, 3, 4]}}
    with PackedWriter(out, 'toy', 'ntu25', ['a', 'b', 'c'], protocols) as writer:
        for i in range(45):
            pose = rng.normal(size=(1, 1, 25, 3)) * 0.1 + [0, 1, 3]
            motion = rng.normal(size=(1, 20, 25, 3)).cumsum(axis=1) * 0.02 * (1 + i % 3)
            subject = 9 if i < 9 else 1 + i // 3 % 4
            writer.add(f'clip{i:02d}', (pose + motion).astype(np.float32), label=i % 3, subject=subject)
    return out


def pretrained(folder, data, weights=3, **options):
    """A resolved config, and a checkpoint of its network as a training would have left it."""
    cfg = toy_config(folder, data=data, **options)
    torch.manual_seed(weights)
    model = load_model(cfg)
    for name, value in model.state_dict().items():
        if name.endswith('running_mean'):
            value.normal_(std=0.1)
    stream = cfg.stream if isinstance(cfg.stream, str) else list(cfg.stream)
    meta = {'method': type(model).__name__, 'stream': stream, 'layout': 'ntu25', 'channels': ['x', 'y', 'z']}
    write_checkpoint(folder / 'checkpoint.pth', {'meta': meta, 'state_dict': model.state_dict()})
    return resolve_config(cfg), folder / 'checkpoint.pth'


@pytest.fixture(scope='module')
def trained(tmp_path_factory, data):
    return pretrained(tmp_path_factory.mktemp('pretrained'), data)


def subject(trained, folder, name='finetune', seed=0):
    cfg, checkpoint = trained
    return EvalTarget(name=name, cfg=cfg, checkpoint=checkpoint, seed=seed, work_dir=folder)


def finetune(epochs=4, **changes):
    settings = dict(optim_wrapper=SGD, train_cfg=dict(max_epochs=epochs), batch_size=8, interval=2, heldout=0.25)
    return Finetune(**{**settings, **changes})


def trainings(folder, name='finetune'):
    """The folders of the trainings."""
    return sorted(folder.glob(f'{name}/*'))


def equal(one, other):
    """Whether two results are the same bit for bit."""
    scores = [[a.names, a.scores, a.labels] for a in (one.test, one.heldout, other.test, other.heldout)]
    return one.metrics == other.metrics and one.curves == other.curves and same(scores[:2], scores[2:])


@pytest.fixture(scope='module')
def tuned(tmp_path_factory, trained):
    """The work_dir and the result of a whole fine-tuning."""
    folder = tmp_path_factory.mktemp('tuned')
    return folder, finetune().run(subject(trained, folder))


def test_numbers_scores_and_curves_belong_together(tuned):
    _, result = tuned
    curves, metrics = result.curves, result.metrics
    assert curves['epoch'] == [2, 4] and len(curves['loss']) == len(curves['heldout_loss']) == 4
    assert metrics['top1'] == curves['top1'][-1] == accuracy(result.test.scores, result.test.labels)
    assert metrics['top1_best'] == max(curves['top1'])
    best = curves['heldout_top1'].index(max(curves['heldout_top1']))
    assert metrics['top1_heldout'] == curves['top1'][best]
    assert curves['heldout_top1'][-1] == accuracy(result.heldout.scores, result.heldout.labels)
    assert set(metrics) == {'top1', 'top1_best', 'top1_heldout'}, 'there are no five classes'
    assert result.test.names == [f'clip{i:02d}' for i in range(9)] and result.test.scores.shape == (9, 3)
    subjects = {1 + int(name[4:]) // 3 % 4 for name in result.heldout.names}
    assert len(subjects) == 1 and len(result.heldout) == 9


def test_the_labelled_clips_are_counted_and_identified(tuned):
    names = '\n'.join(f'clip{i:02d}' for i in range(9, 45))
    labelled = {'clips': 36, 'sha256': hashlib.sha256(names.encode()).hexdigest()}
    assert tuned[1].facts == {'scores_of': 'last epoch', 'labelled': labelled, 'device': default_device()}


def test_training_lowers_the_loss(trained, tmp_path):
    """By a quarter when this was written; few epochs on few clips are noise, another one in each version."""
    adam = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=0.05))
    settings = dict(epochs=16, interval=16, heldout=0.0, optim_wrapper=adam)
    loss = finetune(**settings).run(subject(trained, tmp_path)).curves['loss']
    assert min(loss[-4:]) < 0.97 * loss[0]


def test_a_finished_one_is_not_trained_again(tuned, trained, monkeypatch):
    folder, result = tuned
    monkeypatch.setattr(SkeAttnRunner, 'train', lambda self: pytest.fail('it trains again'))
    assert equal(finetune().run(subject(trained, folder)), result)


@pytest.mark.parametrize('calls', [1, 3])
def test_an_interrupted_one_ends_with_the_same_bits(tuned, trained, tmp_path, monkeypatch, calls):
    """Killed before the second checkpoint of the first, and before the first of the second training."""
    look, left = AccuracyHook.after_train_epoch, [calls if calls == 1 else 4]

    def kill(self, runner):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        look(self, runner)

    monkeypatch.setattr(AccuracyHook, 'after_train_epoch', kill)
    with pytest.raises(KeyboardInterrupt):
        finetune().run(subject(trained, tmp_path))
    monkeypatch.setattr(AccuracyHook, 'after_train_epoch', look)
    began = [find_newest(folder) for folder in trainings(tmp_path)]
    assert [path and path.name for path in began] == (['epoch_1.pth'] if calls == 1 else ['epoch_4.pth', None])
    assert equal(finetune().run(subject(trained, tmp_path)), tuned[1])


def test_another_setting_seed_or_checkpoint_is_another_training(tuned, trained, tmp_path, data):
    folder, result = tuned
    before = len(trainings(folder))
    others = [
        (finetune(1, heldout=0), subject(trained, folder)),
        (finetune(1, heldout=0), subject(trained, folder, seed=1)),
        (finetune(1, heldout=0, mode='eval'), subject(trained, folder)),
        (finetune(1, heldout=0, labels=0.5), subject(trained, folder)),
        (finetune(1, heldout=0), subject(pretrained(tmp_path, data, weights=4), folder)),
    ]
    for count, (protocol, other) in enumerate(others, 1):
        protocol.run(other)
        assert len(trainings(folder)) == before + count
    assert equal(finetune().run(subject(trained, folder)), result)


@pytest.mark.parametrize('mode', ['train', 'eval'])
def test_it_starts_from_the_query_encoder_and_in_eval_mode_keeps_its_statistics(trained, tmp_path, mode):
    """With a rate of zero nothing is learnt."""
    still = dict(SGD, optimizer=dict(type='SGD', lr=0.0))
    finetune(1, heldout=0, mode=mode, optim_wrapper=still).run(subject(trained, tmp_path))
    state = read_checkpoint(trainings(tmp_path)[0] / 'epoch_1.pth')['state_dict']
    before = read_checkpoint(trained[1])['state_dict']
    encoder = [name for name in state if name.startswith('encoder.')]
    assert len(encoder) == len(state) - 2 and not any('projector' in name for name in encoder)
    moved = [name for name in encoder if not torch.equal(state[name], before[name.replace('encoder', 'encoder_q', 1)])]
    if mode == 'eval':
        assert not moved
    else:
        assert moved and all('running' in name or 'num_batches' in name for name in moved)


def test_the_classifier_is_drawn_from_the_seed(trained, tmp_path):
    heads = []
    for seed in (0, 0, 1):
        folder = tmp_path / str(len(heads))
        still = dict(SGD, optimizer=dict(type='SGD', lr=0.0))
        finetune(1, heldout=0, optim_wrapper=still).run(subject(trained, folder, seed=seed))
        heads.append(read_checkpoint(trainings(folder)[0] / 'epoch_1.pth')['state_dict']['head.fc.weight'])
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])
    assert heads[0].shape == (3, 8) and heads[0].std() < 0.04


def test_batches_are_limited_to_the_labelled_clips(trained, tmp_path):
    finetune(1, heldout=0, labels=0.25, batch_size=128).run(subject(trained, tmp_path))
    meta = read_checkpoint(trainings(tmp_path)[0] / 'epoch_1.pth')['meta']
    assert (meta['batch_size'], meta['iter']) == (9, 1)


@pytest.mark.parametrize(('amp', 'kind'), [(True, 'AutocastOptimWrapper'), (False, 'OptimWrapper'), ('auto', None)])
def test_its_precision_is_that_of_the_config(trained, tmp_path, amp, kind, monkeypatch):
    """Kind: a switch that one of two trainings follows. Emulated bfloat16 takes five times as long."""
    monkeypatch.setattr('skeattn.engine.speed.cpu_bfloat16', lambda: False)
    cfg, checkpoint = trained
    cfg = copy.deepcopy(cfg)
    cfg.amp = amp
    finetune(1, optim_wrapper={**SGD, 'type': 'AutocastOptimWrapper'}, heldout=0).run(
        subject((cfg, checkpoint), tmp_path)
    )
    config = read_checkpoint(trainings(tmp_path)[0] / 'epoch_1.pth')['meta']['config']
    assert config['optim_wrapper']['type'] == (kind or 'OptimWrapper')


def test_too_few_labels_end_by_name_before_anything_trains(trained, tmp_path):
    with pytest.raises(DataError, match=r"0\.01 leaves class 'a' none of its 12 training clips.* is 0\.042"):
        finetune(labels=0.01).run(subject(trained, tmp_path))
    assert not trainings(tmp_path)


def test_without_subjects_to_hold_out_there_is_a_reason_and_no_number(tmp_path):
    """In this set every class is one subject's."""
    result = finetune(1).run(subject(pretrained(tmp_path, write_set(tmp_path / 'aligned')), tmp_path / 'work'))
    assert set(result.metrics) == {'top1', 'top1_best'} and result.heldout is None
    assert 'no labelled clip of class' in result.notes['top1_heldout']
    assert len(trainings(tmp_path / 'work')) == 1


def test_from_scratch_it_starts_with_the_network_of_the_config(trained, tmp_path):
    cfg, _ = trained
    result = finetune(1, heldout=0).run(subject((cfg, None), tmp_path))
    assert 'top1' in result.metrics and not list(tmp_path.rglob('start.pth'))


def test_of_several_streams_one_is_to_be_chosen(tmp_path, data):
    crossclr = pretrained(tmp_path, data, model='crossclr')
    with pytest.raises(ConfigError, match=r"stream=\['joint', .*; choose it, protocols\.finetune\.stream=joint"):
        finetune(1).run(subject(crossclr, tmp_path / 'work'))
    with pytest.raises(ConfigError, match=r"stream='velocity' is not in stream=.* of the config; choose"):
        finetune(1, stream='velocity').run(subject(crossclr, tmp_path / 'work'))
    finetune(1, heldout=0, stream='bone').run(subject(crossclr, tmp_path / 'work'))
    folder = trainings(tmp_path / 'work')[0]
    assert read_checkpoint(folder / 'epoch_1.pth')['meta']['stream'] == 'bone'
    state = read_checkpoint(crossclr[1])['state_dict']
    start = read_checkpoint(folder / 'start.pth')['state_dict']
    name = 'backbone.blocks.0.gcn.conv.weight'
    name = name if f'encoder.{name}' in start else next(iter(start)).removeprefix('encoder.')
    assert torch.equal(start[f'encoder.{name}'], state[f'members.bone.encoder_q.{name}'])


@pytest.mark.parametrize('wrong', [dict(heldout=1.0), dict(heldout=-0.1), dict(epochs=0), dict(batch_size=0)])
def test_senseless_settings_are_refused_at_once(wrong):
    with pytest.raises(ConfigError, match=r'heldout=.*max_epochs=.*batch_size=.*; heldout must lie in \[0, 1\)'):
        finetune(**wrong)


def test_a_recognizer_of_other_classes_is_a_start_as_well(trained, tmp_path):
    state = {'encoder.backbone.x': torch.ones(2), 'head.fc.weight': torch.ones(60, 8)}
    write_checkpoint(tmp_path / 'recognizer.pth', {'state_dict': state})
    weights = encoder_weights(tmp_path / 'recognizer.pth', trained[0], 'joint')
    assert weights.keys() == {'encoder.backbone.x'} and torch.equal(weights['encoder.backbone.x'], torch.ones(2))


def test_weights_of_another_stream_or_without_encoder_are_refused(trained, tmp_path):
    cfg, checkpoint = trained
    bone = Config({**cfg, 'stream': 'bone'})
    with pytest.raises(CheckpointError, match="was trained with stream='joint', the config says 'bone'"):
        encoder_weights(checkpoint, bone, 'bone')
    write_checkpoint(tmp_path / 'head.pth', {'state_dict': {'head.fc.weight': torch.ones(3, 8)}})
    with pytest.raises(CheckpointError, match=r'head\.pth has no encoder of the joint stream'):
        encoder_weights(tmp_path / 'head.pth', cfg, 'joint')


@pytest.mark.parametrize(
    ('name', 'labels', 'mode', 'lr', 'scheduler'),
    [
        ('finetune', 1.0, 'train', 0.05, dict(type='ReduceOnPlateauLR', factor=0.1, patience=10)),
        ('semi10', 0.1, 'train', 0.05, dict(type='ReduceOnPlateauLR', factor=0.1, patience=10)),
        ('semi01', 0.01, 'train', 0.05, dict(type='ReduceOnPlateauLR', factor=0.1, patience=10)),
        ('finetune_released', 1.0, 'eval', 0.008, dict(type='MultiStepLR', milestones=[60, 100], gamma=0.1)),
        ('semi10_released', 0.1, 'eval', 0.01, dict(type='MultiStepLR', milestones=[60, 100], gamma=0.1)),
        ('semi01_released', 0.01, 'eval', 0.005, dict(type='MultiStepLR', milestones=[50, 100], gamma=0.1)),
    ],
)
def test_the_shipped_protocols_are_the_papers_and_the_releases(name, labels, mode, lr, scheduler):
    settings = read_protocol(name, Config({}))
    assert isinstance(EVALUATORS.build(settings), Finetune)
    optimizer = dict(type='SGD', lr=lr, momentum=0.9)
    assert settings['optim_wrapper'] == dict(type='OptimWrapper', optimizer=optimizer)
    assert (settings['labels'], settings['mode'], settings['batch_size']) == (labels, mode, 128)
    assert settings['train_cfg'] == dict(max_epochs=150) and settings['param_scheduler'] == scheduler
    assert settings['views'] == dict(query={})


TRANSFORMER = """
model = dict(
    backbone=dict(_delete_=True, type='SkeletonTransformer', out_channels=8, num_heads=2, depth=2, dropout=0.0),
)
"""
SHORT = {'train_cfg.max_epochs': 2, 'heldout': 0, 'batch_size': 8, 'head.hidden_channels': 16, 'interval': 1}


def mamp_protocol(cfg, name='finetune_mamp', **changes):
    """A protocol of MAMP that ends within seconds."""
    wanted = Config(dict(protocols={name: {}}))
    wanted.merge_from_dict({f'protocols.{name}.{key}': value for key, value in (SHORT | changes).items()})
    return EVALUATORS.build(read_protocol(name, Config({**cfg, **wanted})))


@pytest.fixture(scope='module')
def transformer(tmp_path_factory, data):
    return pretrained(tmp_path_factory.mktemp('transformer'), data, model='skeletonclr', lines=TRANSFORMER)


def test_mamps_fine_tuning_augments_clips_and_trains_each_layer_at_its_rate(transformer, tmp_path):
    target = subject(transformer, tmp_path, 'finetune_mamp')
    result = mamp_protocol(transformer[0]).run(target)
    state = read_checkpoint(trainings(tmp_path, 'finetune_mamp')[0] / 'epoch_2.pth')
    assert state['state_dict']['head.layers.0.weight'].shape == (16, 25 * 8)
    rates = {round(group['initial_lr'] / 3e-4, 6) for group in state['optimizer']['param_groups']}
    assert rates == {1.0, 0.8, 0.64, 0.512}
    model = state['meta']['config']['model']
    assert model['backbone']['drop_path'] == 0.3 and model['label_smoothing'] == 0.1
    assert [*model['data_preprocessor']['views']['query']] == ['crop', 'rotation']
    assert len(result.curves['top1']) == 2 and len(result.test) == 9


def test_a_different_head_or_smoothing_is_a_different_training(transformer, tmp_path):
    for count, changes in enumerate(({}, {'label_smoothing': 0.2}, {'head.dropout': 0.1}), 1):
        mamp_protocol(transformer[0], **SHORT | {'train_cfg.max_epochs': 1} | changes).run(
            subject(transformer, tmp_path, 'finetune_mamp')
        )
        assert len(trainings(tmp_path, 'finetune_mamp')) == count


def test_mamps_protocols_differ_in_the_labels_alone():
    whole, one, ten = (read_protocol(f'{name}_mamp', Config({})) for name in ('finetune', 'semi01', 'semi10'))
    assert (one, ten) == ({**whole, 'labels': 0.01}, {**whole, 'labels': 0.1})


def test_a_backbone_without_a_changed_setting_is_refused_before_anything_trains(trained, tmp_path):
    with pytest.raises(ConfigError, match=r"^protocols\.finetune_mamp\.backbone_changes: STGCN takes no 'drop_path'"):
        mamp_protocol(trained[0]).run(subject(trained, tmp_path, 'finetune_mamp'))
    assert not trainings(tmp_path, 'finetune_mamp')


def test_one_value_of_a_protocol_can_be_changed():
    cfg = Config(dict(protocols=dict(semi01=dict(optim_wrapper=dict(optimizer=dict(lr=0.5)), heldout=0))))
    settings = read_protocol('semi01', cfg)
    assert settings['optim_wrapper']['optimizer'] == dict(type='SGD', lr=0.5, momentum=0.9)
    assert (settings['heldout'], settings['labels']) == (0, 0.01)
