"""The base classes of the methods, with subclasses that implement nothing but their loss."""

import pytest
import torch

from skeattn.errors import ConfigError
from skeattn.models import (
    CrosSCLR,
    FeatureQueue,
    MomentumContrast,
    MomentumPretraining,
    Pretraining,
    SkeletonCLR,
    SkeletonPreprocessor,
)
from skeattn.models.queue import queues_of
from tests.models import siamese
from tests.models.siamese import ToyBarlowTwins, ToyBYOL, ToyContrast, ToyDistillation, ToyNeighbours, ToySimSiam
from tests.models.tiny import METHODS, NORMAL, PARTS, batch, losses

TWO = dict(query=NORMAL, key=dict(like='query'))
SHORT = dict(query=NORMAL, short=dict(like='query', cut=dict(type='ToyFirstFrames')))


def build(cls, views=TWO, stream='joint', **changes):
    torch.manual_seed(0)
    preprocessor = dict(type='SkeletonPreprocessor', layout='ntu25', stream=stream, views=views)
    parts = {name: PARTS[name] for name in ('backbone', 'projector')}
    return cls(**{'persons': 'all', **parts, 'data_preprocessor': preprocessor, **changes})


def distillation(**changes):
    return build(ToyDistillation, SHORT, **changes)


TOYS = [ToySimSiam, ToyBarlowTwins, ToyNeighbours, ToyBYOL, ToyDistillation]


def toy(cls):
    return distillation() if cls is ToyDistillation else build(cls)


@pytest.mark.parametrize('cls', TOYS)
def test_a_method_is_its_loss(cls):
    own = {name for kind in cls.__mro__ if kind.__module__ == siamese.__name__ for name in vars(kind)}
    assert 'loss' in own and not {'forward', 'features', 'embed', 'update_key_encoder'} & own
    model = toy(cls)
    losses(model, batch())['loss'].backward()
    followers = {p for _, key in getattr(model, 'momentum_pairs', list)() for p in key.parameters()}
    for name, p in model.named_parameters():
        assert (p.grad is None) == (p in followers), name


@pytest.mark.parametrize('cls', [ToySimSiam, ToyBYOL])
def test_features_come_from_the_encoder_its_projector_and_the_predictor(cls):
    model, data = toy(cls).eval(), batch()
    pooled = model.encoder.map(model.data_preprocessor(data)['inputs']['clip']).pool()
    projected = model.encoder.projector(pooled)
    assert model.feature_sources() == ('backbone',) and model.feature_streams('backbone') == 1
    assert torch.equal(model.features(data), pooled)
    assert torch.equal(model.features(data, 'projector'), projected)
    assert torch.equal(model.features(data, 'predictor'), model.predictor(projected))
    assert torch.equal(model(model.data_preprocessor(data)['inputs']), pooled)


def test_a_source_that_the_method_lacks_is_named():
    for model, source in (
        (toy(ToyBarlowTwins), 'predictor'),
        (build(ToyBarlowTwins, projector=None), 'projector'),
        (toy(ToySimSiam), 'logits'),
    ):
        with pytest.raises(ConfigError, match=f"{type(model).__name__} .* '{source}'"):
            model.features(batch(), source)


def test_a_method_of_one_encoder_refuses_several_streams():
    with pytest.raises(ConfigError, match='ToyBarlowTwins reads one stream; CrosSCLR'):
        build(ToyBarlowTwins, stream=['joint', 'bone'])


def test_a_method_without_loss_is_named():
    model = Pretraining(dict(type='SkeletonPreprocessor', layout='ntu25', views=TWO))
    with pytest.raises(NotImplementedError, match='Pretraining defines no loss'):
        losses(model, batch())


@pytest.mark.parametrize('micro_batches', [1, 3])
def test_a_teacher_that_is_not_updated_once_per_step_is_noticed(micro_batches):
    model = distillation()
    model.micro_batches = micro_batches
    for step in range(2):
        for i in range(micro_batches):
            losses(model, batch(), step * micro_batches + i)
        if step == 0:
            model.update_key_encoder(0.9, buffers=True)
    with pytest.raises(ConfigError, match=r'default_hooks\.momentum=dict\(type="MomentumUpdateHook"'):
        losses(model, batch(), 9)


def test_every_pair_of_a_teacher_follows():
    model = distillation()
    before = {name: value.clone() for name, value in model.teacher.state_dict().items()}
    for p in (*model.encoder.parameters(), *model.head.parameters()):
        p.data.add_(1)
    model.update_key_encoder(0.75, buffers=False)
    for name, p in model.teacher.named_parameters():
        assert torch.allclose(p, before[name] + 0.25), name


def test_a_teacher_starts_as_a_copy_also_after_initialisation():
    model = distillation(init_cfg=dict(type='Normal', layer='Linear', std=5.0))
    model.init_weights()
    assert model.head.weight.std() > 3
    for query, key in model.momentum_pairs():
        for q, k in zip(query.state_dict().values(), key.state_dict().values(), strict=True):
            assert torch.equal(q, k)


def test_a_queue_is_found_in_any_attribute():
    model = toy(ToyNeighbours)
    assert not isinstance(model, MomentumPretraining) and queues_of(model) == [model.bank]
    assert queues_of(toy(ToySimSiam)) == []
    stream = dict(type='SkeletonPreprocessor', layout='ntu25', stream=['joint', 'bone'], views=TWO)
    crossclr = CrosSCLR(**{**PARTS, 'data_preprocessor': stream})
    assert queues_of(crossclr) == [member.queue for member in crossclr.members.values()]
    assert all(isinstance(queue, FeatureQueue) for queue in queues_of(crossclr))


@pytest.mark.parametrize('cls', [ToyContrast, SkeletonCLR])
@pytest.mark.parametrize('name', ['queue', 'loss'])
def test_a_missing_queue_or_loss_is_named(cls, name):
    parts = {'queue': PARTS['queue'], 'loss': PARTS['loss'], name: None}
    with pytest.raises(ConfigError, match=rf'{cls.__name__} needs a {name}: set model\.{name}=dict\('):
        build(cls, **parts)


def test_momentum_contrast_can_do_without_queue_and_loss():
    model = toy(ToyBYOL)
    assert model.queue is None and model.contrast is None and not queues_of(model)
    assert not [name for name in model.state_dict() if 'queue' in name]
    before = model.encoder_k.projector.layers[0].weight.clone()
    model.encoder_q.projector.layers[0].weight.data.add_(1)
    model.update_key_encoder(0.75, buffers=True)
    assert torch.allclose(model.encoder_k.projector.layers[0].weight, before + 0.25)


@pytest.mark.slow
def test_choices_between_paper_and_release_belong_to_methods_with_a_release():
    for cls in TOYS:
        assert toy(cls).paper_vs_release() == {}
    assert build(ToyContrast, queue=PARTS['queue'], loss=PARTS['loss']).paper_vs_release() == {}
    for method in METHODS:
        choices = method().paper_vs_release()
        assert {'temperature', 'key_init', 'persons', 'views.query.crop.per'} <= choices.keys()


def test_the_old_name_of_the_choices_still_extends_the_method_s():
    class Older(SkeletonCLR):
        def switches(self):
            return {'mine': (1, 'own'), **super().switches()}

    choices = build(Older, queue=PARTS['queue'], loss=PARTS['loss']).switches()
    assert choices['mine'] == (1, 'own') and 'temperature' in choices


def test_the_encoder_embeds_by_its_projector_where_it_has_one():
    x = torch.randn(4, 2, 3, 16, 25)
    with_it, without = build(ToyBarlowTwins).encoder.eval(), build(ToyBarlowTwins, projector=None).encoder.eval()
    assert torch.equal(with_it(x), with_it.projector(with_it.map(x).pool()))
    assert torch.equal(without(x), without.map(x).pool()) and without.projector is None


def test_a_loss_receives_the_index_of_each_clip_in_training_alone():
    preprocessor, index = SkeletonPreprocessor('ntu25', views=TWO), torch.tensor([7, 3, 11, 0, 2, 5])
    preprocessor.begin_iteration(0, 0)
    assert torch.equal(preprocessor({**batch(), 'index': index}, training=True)['inputs']['clip.index'], index)
    assert preprocessor({**batch(), 'index': index})['inputs'].keys() == {'clip'}


def test_momentum_contrast_reads_its_query_encoder():
    model = toy(ToyBYOL)
    assert isinstance(model, MomentumContrast) and model.encoder is model.encoder_q
    assert not [name for name in model.state_dict() if name.startswith('encoder.')]
