"""The algorithms beyond their losses: views, gradients, errors, features."""

import pytest
import torch
from torch import nn

from skeattn.errors import ConfigError
from skeattn.models import SkeAttnCLR, SkeletonCLR, SkeletonPreprocessor
from tests.models.tiny import NORMAL, PARTS, VIEWS, batch, losses


def skeattnclr(**changes):
    torch.manual_seed(0)
    return SkeAttnCLR(mhsam=dict(type='MHSAM', num_heads=4), **{**PARTS, **changes})


def test_views_are_a_function_of_seed_and_iteration():
    preprocessor, data = SkeletonPreprocessor('ntu25', views=VIEWS), batch()

    def views(seed, iteration):
        preprocessor.begin_iteration(seed, iteration)
        return preprocessor(data, training=True)['inputs']

    first, again, later, other = views(0, 3), views(0, 3), views(0, 4), views(1, 3)
    for name in ('query', 'key', 'mix'):
        assert torch.equal(first[name], again[name])
        assert not torch.equal(first[name], later[name]) and not torch.equal(first[name], other[name])
    assert not torch.equal(first['query'], first['key'])
    changed = (first['mix'] != first['query']).any(dim=(1, 2)).float().mean()
    assert 0 < changed < 0.5


def test_autocast_does_not_round_coordinates():
    preprocessor, data = SkeletonPreprocessor('ntu25', 'bone', VIEWS), batch()
    exact, cast = [], []
    for views, enabled in ((exact, False), (cast, True)):
        preprocessor.begin_iteration(0, 0)
        with torch.autocast('cpu', torch.bfloat16, enabled=enabled):
            views.append(preprocessor(data, training=True)['inputs'])
    assert all(torch.equal(exact[0][name], cast[0][name]) for name in VIEWS)


def test_evaluation_reads_the_clip_itself_in_the_configured_stream():
    data = batch()
    clip = SkeletonPreprocessor('ntu25', 'motion', VIEWS)(data)['inputs']['clip']
    expected = torch.diff(data['inputs'], dim=2, append=data['inputs'][:, :, -1:]).permute(0, 4, 1, 2, 3)
    assert torch.equal(clip, expected)


def test_a_view_can_drop_and_change_the_operations_it_repeats():
    views = dict(query=NORMAL, key=dict(like='query', crop=None, shear=dict(type='Shear', amplitude=0.0)))
    preprocessor, data = SkeletonPreprocessor('ntu25', views=views), batch()
    preprocessor.begin_iteration(0, 0)
    assert torch.allclose(preprocessor.draw_views(data['inputs'])['key'].clips, data['inputs'])


def test_an_operation_is_applied_where_it_says_in_the_operations_a_view_repeats():
    views = dict(query=NORMAL, key=dict(like='query', flip=dict(type='SpatialFlip', before='shear')))
    ops = SkeletonPreprocessor('ntu25', views=views).ops
    assert (list(ops['query']), list(ops['key'])) == (['crop', 'shear'], ['crop', 'flip', 'shear'])
    assert ops['key']['crop'] is ops['query']['crop']


def test_views_must_exist_before_they_are_named():
    with pytest.raises(ConfigError, match=r'views\.key: .*like=.query.'):
        SkeletonPreprocessor('ntu25', views=dict(key=dict(like='query')))


def test_training_without_an_iteration_number_is_refused():
    model = skeattnclr()
    losses(model, batch())
    with pytest.raises(ConfigError, match='RandomnessHook'):
        model.data_preprocessor(batch(), training=True)


def test_total_is_weighted_by_mu():
    for mu in (0.0, 0.3, 1.0):
        terms = losses(skeattnclr(mu=mu), batch())
        expected = terms['L_global'] + mu * terms['L_s'] + (1 - mu) * terms['L_ns']
        assert terms['loss'].item() == pytest.approx(expected.item())


def test_gradients_reach_every_query_parameter_and_no_key():
    for heads in ('paper', 'released'):
        predictor = dict(type='MLP', hidden_channels=16, out_channels=8, norm_cfg=dict(type='BN1d'))
        model = skeattnclr(heads=heads, predictor=predictor)
        losses(model, batch())['loss'].backward()
        for name, p in model.named_parameters():
            assert (p.grad is None) == name.startswith('encoder_k'), name


def test_a_mask_without_gradient_is_not_trained():
    data, free, frozen = batch(), skeattnclr(), skeattnclr(mask_gradient=False)
    terms = {model: losses(model, data) for model in (free, frozen)}
    for name, value in terms[free].items():
        assert value == terms[frozen][name], name
    for model in (free, frozen):
        (terms[model]['L_s'] + terms[model]['L_ns']).backward()
    assert all(p.grad.abs().sum() > 0 for p in free.mhsam.parameters())
    assert not any(p.requires_grad or p.grad is not None for p in frozen.mhsam.parameters())
    # The encoder receives no gradient through the mask, either.
    first = [next(model.encoder_q.backbone.parameters()).grad for model in (free, frozen)]
    assert first[1].abs().sum() > 0 and not torch.allclose(*first)
    assert frozen.paper_vs_release()['mask_gradient'] == (False, 'ours: the mask is not trained')


def test_granularity_comes_with_the_mask():
    model = SkeAttnCLR(mhsam=dict(type='MHSAM', num_heads=4, granularity='joint'), **PARTS)
    mask = model.salient_mask(batch(2))
    assert torch.allclose(mask, mask[:, :, :1].expand_as(mask)) and mask[0, 0, 0].unique().numel() > 1
    assert model.paper_vs_release()['mhsam.granularity'] == ('joint', 'ours; the paper: channel')


def key_norms(model):
    return [m for m in model.encoder_k.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


@pytest.mark.parametrize('key_bn', ['train', 'eval'])
def test_the_key_encoder_normalises_by_batch_or_running_statistics(key_bn):
    model, x = skeattnclr(key_bn=key_bn), torch.randn(6, 2, 3, 16, 25)
    assert model.eval().train().training and model.encoder_k.backbone.training and model.encoder_q.projector.training
    assert {norm.training for norm in key_norms(model)} == {key_bn == 'train'}
    alone, together = model.key(x[:2]), model.key(x)[:2]
    assert torch.allclose(alone, together, atol=1e-5) == (key_bn == 'eval')
    assert all((norm.num_batches_tracked == 0) == (key_bn == 'eval') for norm in key_norms(model))

    model.query(x)
    before = key_norms(model)[0].running_mean.clone()
    queried = model.encoder_q.backbone.data_bn.running_mean
    model.update_key_encoder(0.75, buffers=True)
    assert torch.allclose(key_norms(model)[0].running_mean, 0.75 * before + 0.25 * queried)
    assert model.paper_vs_release()['key_bn'][0] == key_bn


def test_statistics_that_are_never_updated_are_refused():
    skeattnclr(key_bn='train').update_key_encoder(0.9, buffers=False)
    with pytest.raises(ConfigError, match=r'key_bn="eval".*momentum\.buffers=True'):
        skeattnclr(key_bn='eval').update_key_encoder(0.9, buffers=False)


def test_opposite_region_is_a_negative_that_does_not_learn():
    torch.manual_seed(0)
    data = batch()
    with_it, without = losses(skeattnclr(), data), losses(skeattnclr(opposite_negative=False), data)
    assert with_it['L_global'] == without['L_global']
    assert with_it['L_s'] > without['L_s'] and with_it['L_ns'] > without['L_ns']


def test_a_model_that_was_converted_updates_its_new_tensors():
    model = skeattnclr()
    model.update_key_encoder(0.5, buffers=True)
    model.double()
    with torch.no_grad():
        for encoder, number in ((model.encoder_q, 3), (model.encoder_k, 1)):
            for value in encoder.state_dict().values():
                value.fill_(number)
    model.update_key_encoder(0.5, buffers=True)
    for name, value in model.encoder_k.state_dict().items():
        assert (value == (2 if value.is_floating_point() else 3)).all(), name


def test_a_dropped_momentum_update_is_noticed():
    model = skeattnclr()
    losses(model, batch())
    model.queue.flush()
    with pytest.raises(ConfigError, match='MomentumUpdateHook'):
        losses(model, batch(), 1)


def test_a_dropped_queue_update_is_noticed():
    model = skeattnclr()
    losses(model, batch())
    model.update_key_encoder(0.9, buffers=True)
    with pytest.raises(ConfigError, match='QueueUpdateHook'):
        losses(model, batch(), 1)


def test_features_come_from_the_requested_source():
    model, data = skeattnclr().eval(), batch()
    pooled = model.features(data)
    assert torch.allclose(model.features(data, 'projector'), model.encoder_q.projector(pooled))
    with pytest.raises(ConfigError, match="'predictor'"):
        model.features(data, 'predictor')
    released = skeattnclr(heads='released', predictor=dict(type='MLP', hidden_channels=8, out_channels=8)).eval()
    assert released.features(data, 'predictor').shape == (6, 8)


def test_salient_mask_is_per_frame_row_and_joint():
    mask = skeattnclr().salient_mask(batch(2))
    assert mask.shape == (2, 2, 4, 25) and mask.min() > 0 and mask.max() < 1


def test_skeletonclr_minimises_info_nce_of_its_two_views():
    torch.manual_seed(0)
    views = {name: VIEWS[name] for name in ('query', 'key')}
    model = SkeletonCLR(
        **{**PARTS, 'data_preprocessor': dict(type='SkeletonPreprocessor', layout='ntu25', views=views)}
    )
    data, optimizer = batch(), torch.optim.SGD(model.parameters(), lr=0.1)
    history = []
    for _ in range(15):
        loss = losses(model, data)['loss']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        model.queue.flush()
        model.update_key_encoder(0.9, buffers=True)
        history.append(loss.item())
    assert history[-1] < history[0] - 0.2


def test_choices_name_value_and_origin():
    choices = skeattnclr(heads='paper', mu=1.0).paper_vs_release()
    assert choices['heads'][0] == 'paper' and 'released for NTU-60 joint' in choices['mu'][1]
    assert 'views.mix.mix.per' in choices


@pytest.mark.parametrize(
    'change',
    [
        dict(heads='both'),
        dict(mu=1.5),
        dict(key_init='zeros'),
        dict(key_bn='off'),
        dict(persons='first'),
        dict(negatives='batch'),
    ],
)
def test_unknown_choices_are_refused(change):
    with pytest.raises(ConfigError, match=next(iter(change))):
        skeattnclr(**change)
