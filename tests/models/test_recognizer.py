"""Supervised training: the released steps, logs, errors, and a run from config to checkpoint."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from skeattn.apis import build_splits, load_model
from skeattn.checkpoint import read_checkpoint
from skeattn.engine import SkeAttnRunner
from skeattn.engine.config import resolve_config
from skeattn.engine.hooks.steps import bare_model
from skeattn.errors import ConfigError, NonFiniteError
from skeattn.evaluation import TopK, extract_features
from skeattn.models import Recognizer
from tests.distributed.launching import launch
from tests.engine.runs import assert_equal_state, curves, logged
from tests.engine.toy import toy_config, write_set
from tests.fidelity.golden import Golden, assert_close, to_model

pytestmark = pytest.mark.slow

BACKBONE = dict(type='STGCN', layout='ntu25', base_channels=4, out_channels=16, dropout=0.0)
QUERY = dict(type='SkeletonPreprocessor', layout='ntu25', views=dict(query=dict(shear=dict(type='Shear'))))
# Motions of three speeds, which the motion stream shows.
TOY = """
num_classes = 3
stream = 'motion'
model = dict(
    _delete_=True,
    type='Recognizer',
    data_preprocessor=dict(type='SkeletonPreprocessor', views=dict(query=dict(shear=dict(type='Shear')))),
    backbone=dict(type='STGCN', base_channels=4, out_channels=16, dropout=0.1),
    head=dict(type='LinearHead'),
)
default_hooks.update(momentum=None, queue=None)
default_hooks['checkpoint']['save_best'] = 'topk/top1'
evaluation = dict(interval=1, source='logits', evaluators=dict(knn=None, linear=None, topk=dict(type='TopK')))
train_cfg = dict(max_epochs=2)
optim_wrapper = dict(optimizer=dict(_delete_=True, type='Adam', lr=0.01))
"""


def recognizer(**changes):
    torch.manual_seed(0)
    parts = dict(backbone=BACKBONE, head=dict(type='LinearHead', num_classes=5), data_preprocessor=QUERY)
    return Recognizer(**{**parts, **changes})


def batch(n=6):
    return dict(inputs=torch.randn(n, 3, 16, 25, 2), labels=torch.arange(n) % 5)


def config(folder, data, **options):
    return toy_config(folder, data=data, lines=TOY, **options)


@pytest.fixture(scope='module')
def data(tmp_path_factory) -> Path:
    return write_set(tmp_path_factory.mktemp('recognizer') / 'set', clips=240, test_clips=60)


@pytest.fixture(scope='module')
def finished(tmp_path_factory, data) -> Path:
    """The folder of a run of two epochs."""
    folder = tmp_path_factory.mktemp('finished')
    SkeAttnRunner.from_cfg(config(folder, data)).train()
    return folder


def test_two_steps_equal_the_released_fine_tuning():
    """The release fine-tunes in eval mode, so the model stays there when a training loop sets training mode."""
    golden, prefix = Golden('finetune_step'), 'encoder_q.backbone.'
    start = golden.packed('state0')
    classes, dim = start[f'{prefix}fc.weight'].shape
    # Active dropout would change the numbers.
    backbone = {**BACKBONE, 'out_channels': dim, 'dropout': 0.5}
    model = recognizer(backbone=backbone, head=dict(type='LinearHead', num_classes=classes), mode='eval')
    model.double().train()

    def ours(group):
        """Backbone and classifier of a packed group, under our names."""
        state = {name.replace(prefix, 'encoder.backbone.'): value for name, value in golden.converted(group).items()
                 if name.startswith(prefix)}  # fmt: skip
        return state | {f'head.fc.{name}': golden.packed(group)[f'{prefix}fc.{name}'] for name in ('weight', 'bias')}

    model.load_state_dict(ours('state0'))
    model.encoder.backbone.A.copy_(start[f'{prefix}A'])  # the golden run's adjacency is not rounded to single precision
    settings = golden.meta
    optimizer = torch.optim.SGD(model.parameters(), settings['base_lr'], momentum=settings['sgd_momentum'])
    for step in ('step1', 'step2'):
        x, label = to_model(golden[f'{step}/x']), golden[f'{step}/label'].long()
        assert_close(model({'clip': x}), golden[f'{step}/logits'], f'{step} logits')
        losses = model({'query': x}, label, mode='loss')
        assert_close(losses['loss'], golden[f'{step}/loss_total'], f'{step} loss')
        optimizer.zero_grad()
        losses['loss'].backward()
        optimizer.step()
        grad, after = ours(f'{step}/grad'), ours(f'{step}/state')
        assert grad.keys() == dict(model.named_parameters()).keys()
        for name, parameter in model.named_parameters():
            assert_close(parameter.grad, grad[name], f'{step} gradient of {name}')
            assert_close(parameter, after[name], f'{step} {name}')


def test_the_share_of_recognised_clips_is_logged_but_not_minimised():
    model, data = recognizer(), batch()
    model.data_preprocessor.begin_iteration(0, 0)
    views = model.data_preprocessor(data, training=True)
    model.eval()  # the same statistics for both passes below
    views['data_samples'] = model.embed(views['inputs']['query'], 'logits').argmax(dim=1)
    views['data_samples'][:2] = (views['data_samples'][:2] + 1) % 5
    losses = model(**views, mode='loss')
    assert losses['accuracy'].item() == pytest.approx(100 * 4 / 6)
    assert model.parse_losses(losses)[0] == losses['loss']


def test_smoothed_labels_are_spread_over_all_classes():
    model = recognizer(label_smoothing=0.2).eval()
    views = model.data_preprocessor(batch(), training=False)
    logits, labels = model.embed(views['inputs']['clip'], 'logits'), views['data_samples']
    target = torch.full((6, 5), 0.2 / 5)
    target[torch.arange(6), labels] += 0.8
    expected = -(target * logits.log_softmax(dim=1)).sum(dim=1).mean()
    assert torch.allclose(model.loss({'query': views['inputs']['clip']}, labels)['loss'], expected)


def test_a_head_on_the_map_reads_each_joint():
    mlp = dict(type='MLPHead', num_classes=5, hidden_channels=6, dropout=0.0)
    model = recognizer(head=mlp).eval()
    x = torch.randn(4, 2, 3, 16, 25)
    F = model.encoder.map(x)
    by_hand = F.values.mean(dim=(1, 3)).transpose(1, 2).flatten(1)  # joint by joint
    assert torch.allclose(model.embed(x, 'logits'), model.head.layers(by_hand), atol=1e-6)
    assert torch.equal(model.embed(x, 'backbone'), F.pool())
    assert 'head.std' not in model.paper_vs_release() and 'head.std' in recognizer().paper_vs_release()
    mean = recognizer(head={**mlp, 'readout': 'mean'}).eval()
    assert torch.allclose(mean.embed(x, 'logits'), mean.head.layers(mean.encoder.map(x).pool()), atol=1e-6)


def test_a_head_on_joints_drops_values_of_the_map_and_refuses_a_map_without_joints():
    mlp = dict(type='MLPHead', num_classes=5, hidden_channels=6, dropout=0.5)
    model = recognizer(head=mlp).train()
    x = torch.ones(4, 16, 16, 4, 25)
    dropped = model.head.dropout(x)
    assert set(dropped.unique().tolist()) == {0.0, 2.0}
    gru = dict(type='BIGRU', layout='ntu25', hidden_channels=4)
    with pytest.raises(ConfigError, match=r"MLPHead reads 25 joints, but the backbone's map has V' = 1"):
        recognizer(head=mlp, backbone=gru).eval().embed(torch.randn(2, 2, 3, 16, 25), 'logits')


def test_training_moves_statistics_and_drops_unless_it_runs_in_eval_mode():
    x, labels = torch.randn(6, 1, 3, 16, 25), torch.arange(6) % 5
    for mode, still in (('train', False), ('eval', True)):
        model = recognizer(backbone={**BACKBONE, 'dropout': 0.5}, mode=mode).train()
        before = {name: value.clone() for name, value in model.named_buffers()}
        losses = [model.loss({'query': x}, labels)['loss'] for _ in range(2)]
        moved = [name for name, value in model.named_buffers() if not torch.equal(value, before[name])]
        assert (not moved) is still and (losses[0] == losses[1]).item() is still
        losses[0].backward()
        assert all(p.grad is not None for p in model.parameters())
        assert model.paper_vs_release()['mode'][0] == mode
    with pytest.raises(ConfigError, match=r"model\.mode='frozen'; choose 'train' or 'eval'"):
        recognizer(mode='frozen')


def test_features_are_pooled_maps_or_logits():
    model, data = recognizer().eval(), batch()
    pooled = model.features(data)
    assert pooled.shape == (6, 16) and torch.equal(model.features(data, 'logits'), model.head(pooled))
    assert torch.equal(model(model.data_preprocessor(data)['inputs']), model.features(data, 'logits'))
    with pytest.raises(ConfigError, match=r"no features from 'projector'; it has 'backbone' and 'logits'"):
        model.features(data, 'projector')


def test_absent_persons_count_by_default():
    data = batch()
    data['inputs'][..., 1] = 0
    alone = {**data, 'inputs': data['inputs'][..., :1]}
    for persons, equal in (('all', False), ('present', True)):
        model = recognizer(persons=persons).eval()
        assert torch.allclose(model.features(data), model.features(alone), atol=1e-6) is equal


def test_weights_start_by_the_config_and_the_classifier_as_released():
    model = recognizer(
        backbone={**BACKBONE, 'out_channels': 256},
        head=dict(type='LinearHead', num_classes=60),
        init_cfg=dict(type='Normal', layer=['Conv2d', 'Linear'], std=0.5),
    )
    model.init_weights()
    convolution, classifier = model.encoder.backbone.blocks[1].tcn[2].weight, model.head.fc
    assert convolution.std().item() == pytest.approx(0.5, rel=0.1)
    assert classifier.weight.std().item() == pytest.approx(0.02, rel=0.05) and not classifier.bias.any()


def test_choices_name_value_and_origin():
    choices = recognizer(head=dict(type='LinearHead', num_classes=5, std=0.1), persons='present').paper_vs_release()
    assert choices['head.std'][0] == 0.1 and 'custom' in choices['head.std'][1]
    assert choices['persons'][0] == 'present' and choices['views.query.shear.per'][0] == 'sample'
    assert recognizer().paper_vs_release()['head.std'] == (0.02, 'as released')


@pytest.mark.parametrize(
    ('label', 'message'),
    [
        (-1, r'a training clip has no label, .*dataset\.subset=dict\(fraction=1\.0\)'),
        (5, 'num_classes=5, but a training clip has label 5; set num_classes'),
    ],
)
def test_a_label_without_class_is_named(label, message):
    with pytest.raises(ConfigError, match=message):
        recognizer().loss({'query': torch.randn(3, 2, 3, 16, 25)}, torch.tensor([0, label, 4]))


@pytest.mark.parametrize(('label', 'message'), [(-1, 'has no label'), (5, 'num_classes=5, but .* has label 5')])
def test_labels_on_a_device_are_checked_before_training(label, message):
    model = recognizer()
    model.check_data(SimpleNamespace(labels=torch.tensor([0, 4])))
    model.check_data(SimpleNamespace())
    with pytest.raises(ConfigError, match=message):
        model.check_data(SimpleNamespace(labels=torch.tensor([0, label])))


def test_without_a_query_view_training_is_refused():
    with pytest.raises(ConfigError, match=r'view "query", but the views are key; set model\.data_preprocessor\.views'):
        recognizer().loss({'key': torch.randn(3, 2, 3, 16, 25)}, torch.tensor([0, 1, 2]))


def test_a_classifier_needs_the_number_of_classes():
    with pytest.raises(ConfigError, match=r'LinearHead.*num_classes'):
        recognizer(head=dict(type='LinearHead'))


def test_two_epochs_recognise_motions_that_differ(finished):
    """Chance is a third; of the 120 clips of the last quarter 60 % are six standard deviations more."""
    accuracy = [line['accuracy'] for line in logged(finished / 'run')]
    assert len(accuracy) == 60
    first, last = sum(accuracy[:15]) / 15, sum(accuracy[-15:]) / 15
    assert last > 60 and last > first + 10
    tested = [line['topk/top1'] for line in curves(finished / 'run') if 'topk/top1' in line]
    assert len(tested) == 2 and max(tested) > 50


def test_resuming_continues_bit_for_bit(finished, tmp_path, data):
    (tmp_path / 'run').mkdir()
    shutil.copy(finished / 'run/epoch_1.pth', tmp_path / 'run')
    SkeAttnRunner.from_cfg(config(tmp_path, data, resume=True)).train()
    assert logged(tmp_path / 'run') == logged(finished / 'run')[30:]
    assert_equal_state(*(read_checkpoint(folder / 'run/epoch_2.pth') for folder in (tmp_path, finished)))


def test_a_loaded_checkpoint_scores_as_in_its_run(finished, data):
    cfg = config(finished, data)
    model = load_model(cfg, finished / 'run/epoch_2.pth')
    train, test = build_splits(resolve_config(cfg))
    bank, queries = (extract_features(model, clips, source='logits') for clips in (train, test))
    logged_scores = [line['topk/top1'] for line in curves(finished / 'run') if 'topk/top1' in line]
    assert queries.x.shape == (60, 3) and TopK()(bank, queries)['top1'] == logged_scores[-1]


def test_too_few_classes_end_a_run_by_name(tmp_path, data):
    with pytest.raises(ConfigError, match='num_classes=2, but a training clip has label 2'):
        SkeAttnRunner.from_cfg(config(tmp_path, data, num_classes=2, evaluation=None)).train()


def test_divergence_ends_a_run_by_name(tmp_path, data):
    runner = SkeAttnRunner.from_cfg(config(tmp_path, data, optim_wrapper__optimizer__lr=1e30, max_iters=3))
    with pytest.raises(NonFiniteError, match=r'iteration 1 \(epoch 1\): loss=nan; clips of the batch: clip'):
        runner.train()


def test_two_processes_see_the_clips_of_one_and_share_their_statistics(tmp_path, data):
    """After the first step, only the input layer's statistics do not depend on the division among processes."""
    one = SkeAttnRunner.from_cfg(config(tmp_path, data, max_iters=1))
    one.train()
    options = ['--work-dir', tmp_path / 'two', '--cfg-options', 'max_iters=1']
    done = launch('dist_train.sh', tmp_path / 'toy.py', 2, *options, OMP_NUM_THREADS='1')
    assert done.returncode == 0, done.stderr[-4000:]
    checkpoint = read_checkpoint(tmp_path / 'two/epoch_1.pth')
    assert (checkpoint['meta']['world_size'], checkpoint['meta']['iter']) == (2, 1)
    for name in ('running_mean', 'num_batches_tracked'):
        name = f'encoder.backbone.data_bn.{name}'
        torch.testing.assert_close(checkpoint['state_dict'][name], bare_model(one).state_dict()[name])
