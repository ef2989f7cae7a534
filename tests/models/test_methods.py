"""CrosSCLR, AimCLR, HiCLR and SkeleMixCLR beyond the release's numbers: both sides of every switch."""

import pytest
import torch
from torch.nn.functional import cross_entropy, normalize

from skeattn.engine.hooks import MiningHook
from skeattn.errors import ConfigError
from skeattn.models import STGCN, AttentionDrop, SkeleMixCLR
from skeattn.models.encoder import FeatureMap
from skeattn.models.losses import first_positive, follow, mean_of_logs, mined_info_nce, nearest_keys
from skeattn.registry import MODELS
from tests.models.tiny import (
    METHODS,
    NORMAL_VIEWS,
    PARTS,
    aimclr,
    batch,
    build,
    crossclr,
    flush,
    hiclr,
    losses,
    skelemixclr,
)


def logits(n=5, length=9):
    return torch.randn(n, length, generator=torch.Generator().manual_seed(0))


def test_mean_of_logs_of_one_positive_is_info_nce():
    one = torch.zeros(5, 9, dtype=torch.bool)
    one[:, 0] = True
    assert torch.allclose(mean_of_logs(logits(), one), first_positive(logits()))
    two = one.clone()
    two[:, 4] = True
    other = cross_entropy(logits(), torch.full((5,), 4))
    assert torch.allclose(mean_of_logs(logits(), two), (first_positive(logits()) + other) / 2)


def test_nearest_marks_the_key_and_the_most_similar_entries():
    marked = nearest_keys(logits(), 2)
    for row, mask in zip(logits(), marked, strict=True):
        rest = sorted(row[1:].tolist())[-2:]
        assert mask.nonzero().flatten().tolist() == sorted([0, *(row.tolist().index(value) for value in rest)])


def test_mining_joins_the_neighbours_of_every_branch():
    a, b = logits(), logits().flip(1)
    union = nearest_keys(a, 1) | nearest_keys(b, 1)
    assert torch.allclose(mined_info_nce([a, b], 1), mean_of_logs(a, union))
    assert torch.allclose(mined_info_nce([a, b], 0), first_positive(a))


def test_a_distribution_follows_another_that_gets_no_gradient():
    target, ours = logits().requires_grad_(), logits().flip(0).requires_grad_()
    loss = follow(target, ours)
    assert torch.allclose(loss, -(target.softmax(1) * ours.log_softmax(1)).sum(1).mean())
    loss.backward()
    assert target.grad is None and torch.allclose(ours.grad, (ours.softmax(1) - target.softmax(1)) / 5, atol=1e-6)


def test_a_region_is_averaged_over_its_own_cells():
    values = torch.randn(2, 2, 3, 4, 5)
    cells = torch.zeros(2, 4, 5, dtype=torch.bool)
    cells[0, 1, 2:4] = True
    cells[1, :, 0] = True
    F = FeatureMap(values, torch.tensor([[0.5, 0.5], [1.0, 0.0]]))
    expected = torch.stack([values[0, :, :, 1, 2:4].mean(dim=(0, 2)), values[1, 0, :, :, 0].mean(dim=1)])
    assert torch.allclose(F.region(cells), expected, atol=1e-6)


def test_attention_drop_hides_a_joint_that_stands_out_and_keeps_the_scale():
    x = torch.full((2, 1, 3, 4, 5), 0.1)
    x[..., 2] = 3.0  # one joint far from the mean of its channel
    out = AttentionDrop(threshold=0.7)(x)
    assert (out[..., 2] == 0).all()
    assert torch.allclose(out[..., 0], x[..., 0] * (5 / 4) ** 2)  # once for the joint, once for its elements


def test_attention_drop_does_not_count_absent_persons():
    """Kind G4: a batch-wide count over a padded map.

    Rows of absent persons are zero, so that they would count as kept: the scale of the others would fall.
    """
    x = torch.full((2, 2, 3, 4, 5), 0.1)
    x[..., 2] = 3.0
    x[:, 1] = 0.0
    present = torch.tensor([[True, False]] * 2)
    drop = AttentionDrop(threshold=0.7)
    torch.testing.assert_close(drop(x, present)[:, :1], drop(x[:, :1]))
    assert torch.equal(drop(x, torch.ones(2, 2, dtype=torch.bool)), drop(x))


@pytest.mark.parametrize('method', METHODS)
def test_gradients_reach_every_query_parameter_and_no_key(method):
    model = method()
    losses(model, batch())['loss'].backward()
    for name, p in model.named_parameters():
        assert (p.grad is None) == ('encoder_k.' in name), name


@pytest.mark.parametrize('method', METHODS)
def test_dropped_hooks_are_noticed(method):
    model = method()
    losses(model, batch())
    flush(model)
    with pytest.raises(ConfigError, match='MomentumUpdateHook'):
        losses(model, batch(), 1)
    model.update_key_encoder(0.9, buffers=True)
    losses(model, batch(), 1)
    model.update_key_encoder(0.9, buffers=True)
    with pytest.raises(ConfigError, match='QueueUpdateHook'):
        losses(model, batch(), 2)


@pytest.mark.parametrize('method', METHODS)
def test_choices_name_the_origin_of_values(method):
    choices = method().paper_vs_release()
    tau = 'as released' if method is skelemixclr else 'custom; the release used 0.07'
    assert choices['temperature'] == (0.2, tau)
    assert all(isinstance(origin, str) and origin for _, origin in choices.values())


@pytest.mark.parametrize('method', [aimclr, hiclr, crossclr])
def test_mining_changes_the_loss(method):
    data, plain, mining = batch(), method(), method()
    mining.mining = True
    assert losses(plain, data)['loss'] != losses(mining, data)['loss']


@pytest.mark.parametrize(('begin', 'first'), [(0.5, 3), (2, 2), (0, 0), (1, 1)])
def test_mining_begins_at_its_epoch_also_in_a_resumed_run(begin, first):
    model = aimclr()
    hook = MiningHook(begin)
    for epoch in (4, 0, 1, 2, 3, 5):
        hook.before_train_epoch(type('Runner', (), dict(model=model, epoch=epoch, max_epochs=6)))
        assert model.mining == (epoch >= first)


def test_mining_is_refused_where_there_is_none():
    with pytest.raises(ConfigError, match=r'mining=None'):
        MiningHook().before_train(type('Runner', (), dict(model=skelemixclr())))
    with pytest.raises(ConfigError, match='begin=-1'):
        MiningHook(begin=-1)


def test_hiclr_writes_a_learnt_value_into_masked_joints_of_present_persons():
    mask = dict(type='RandomJointMask', ratio=0.2, on='stream')
    for persons in ('all', 'present'):
        model, data = hiclr(mask, persons=persons), batch()
        data['inputs'][:3, ..., 1] = 0
        model.mask_fill.data.fill_(7.0)
        model.data_preprocessor.begin_iteration(0, 0)
        inputs = model.data_preprocessor(data, training=True)['inputs']
        filled = model._filled(inputs) == 7
        expected = inputs['stronger.masked'][:, None, None].expand_as(filled).clone()
        if persons == 'present':
            expected[:3, 1] = False
        assert torch.equal(filled, expected)
        assert inputs['stronger.masked'].sum(dim=2).eq(5).all()


def test_hiclr_changes_edges_in_the_strongest_view_alone():
    calls = []
    model = hiclr(edges=dict(type='DropAddEdges', drop=0.5, add=0.1))
    forward = model.encoder_q.backbone.forward
    model.encoder_q.backbone.forward = lambda x, edges=None: (calls.append(edges), forward(x, edges))[1]
    losses(model, batch())
    assert calls[:2] == [None, None] and calls[2] is model.edges


def test_hiclr_names_a_backbone_without_edges():
    class WithoutGraph(STGCN):
        def forward(self, x):
            return super().forward(x)

    MODELS.register_module(module=WithoutGraph, force=True)
    backbone = {**PARTS['backbone'], 'type': 'WithoutGraph'}
    with pytest.raises(ConfigError, match=r'model\.edges=None'):
        hiclr(edges=dict(type='DropAddEdges'), backbone=backbone)
    assert 'loss' in losses(hiclr(backbone=backbone), batch())


def test_hiclr_lets_gradients_flow_from_strong_to_weak_only():
    model = hiclr()
    terms = losses(model, batch())
    targets = [torch.autograd.grad(terms[name], model.encoder_q.projector.layers[0].weight, retain_graph=True)[0].norm()
               for name in ('L_h1', 'L_h2')]  # fmt: skip
    assert all(norm > 0 for norm in targets)


def test_skelemixclr_sums_or_averages_its_mixes():
    mixes = ('mix1', 'mix2', 'mix3')
    summed, mean = (losses(skelemixclr(mixes, repeats=r), batch())['L_region'] for r in ('sum', 'mean'))
    assert torch.allclose(summed, 3 * mean)
    with pytest.raises(ConfigError, match='repeats'):
        skelemixclr(repeats='median')


def test_skelemixclr_pulls_the_pasted_region_to_the_partner_and_the_rest_to_the_host():
    model, data = skelemixclr(), batch()
    model.data_preprocessor.begin_iteration(0, 0)
    inputs = model.data_preprocessor(data, training=True)['inputs']
    m, keys = model.queue.keys.clone(), model.key(inputs['key'])
    F = model.encoder_q.map(inputs['mix'])
    cells = inputs['mix.grid']
    p, c = (normalize(model.encoder_q.projector(F.region(r)), dim=1) for r in (cells, ~cells))
    partner = keys[(torch.arange(6) + inputs['mix.shift']) % 6]

    def loss(query, key, other):
        columns = torch.cat([(query * key).sum(1, True), query @ m, (query * other).sum(1, True)], dim=1) / 0.2
        return cross_entropy(columns, torch.zeros(6, dtype=torch.long))

    expected = (loss(p, partner, c) + loss(c, keys, p)) / 2
    assert torch.allclose(model(inputs, mode='loss')['L_region'], expected, atol=1e-5)


def test_skelemixclr_names_a_grid_that_does_not_fit_the_map():
    mix = dict(source='query', mix=dict(type='SkeleMix', units=(1, 2), unit_frames=8))
    model = build(SkeleMixCLR, dict(NORMAL_VIEWS, mix=mix))
    with pytest.raises(ConfigError, match='unit_frames'):
        losses(model, batch())


def test_crossclr_is_three_skeletonclrs_until_it_mines():
    model = crossclr()
    terms = losses(model, batch())
    assert torch.allclose(terms['loss'], terms['L_joint'] + terms['L_motion'] + terms['L_bone'])
    keys = [member.queue.pending[0] for member in model.members.values()]
    assert not torch.allclose(keys[0], keys[1])
    flush(model)
    assert all(int(member.queue.pointer) == 6 for member in model.members.values())


def test_crossclr_heads_are_separate_unless_shared():
    separate, shared = crossclr().members, crossclr(shared_heads=True).members
    assert separate['joint'].encoder_q.projector is not separate['bone'].encoder_q.projector
    for side in ('encoder_q', 'encoder_k'):
        heads = [getattr(member, side).projector for member in shared.values()]
        assert heads[1][2] is heads[0] and heads[2][2] is heads[0] and heads[1][0] is not heads[2][0]


@pytest.mark.parametrize('stale', [False, True])
def test_crossclr_updates_every_key_encoder_unless_stale_keys_while_mining(stale):
    model = crossclr(stale_keys=stale)
    for mining, moved in ((False, 3), (True, 1 if stale else 3)):
        model.mining = mining
        for member in model.members.values():
            for p in member.encoder_q.parameters():
                p.data.add_(1)
        before = {u: member.encoder_k.backbone.data_bn.weight.clone() for u, member in model.members.items()}
        model.update_key_encoder(0.5, buffers=False)
        changed = [u for u, member in model.members.items()
                   if not torch.equal(before[u], member.encoder_k.backbone.data_bn.weight)]  # fmt: skip
        assert len(changed) == moved and 'motion' in changed


def test_crossclr_context_compares_products_as_well():
    with_it, without = crossclr(), crossclr(context=False)
    with_it.mining = without.mining = True
    assert losses(with_it, batch())['loss'] != losses(without, batch())['loss']


def test_crossclr_features_of_all_streams_or_one():
    model, data = crossclr().eval(), batch()
    all_streams, motion = model.features(data), model.features(data, 'motion/backbone')
    assert all_streams.shape == (6, 48) and torch.equal(all_streams[:, 16:32], motion)
    assert model.feature_streams('backbone') == 3 and model.feature_streams('joint/backbone') == 1
    assert model.feature_sources() == ('backbone', 'joint/backbone')
    with pytest.raises(ConfigError, match='joint, motion, bone'):
        model.features(data, 'colour/backbone')


def test_crossclr_initialises_every_stream_with_a_true_key_copy():
    model = crossclr(init_cfg=dict(type='Normal', layer='Linear', std=5.0))
    model.init_weights()
    for member in model.members.values():
        assert member.encoder_q.projector.layers[0].weight.std() > 3
        for q, k in zip(member.encoder_q.parameters(), member.encoder_k.parameters(), strict=True):
            assert torch.equal(q, k)


@pytest.mark.parametrize('change', [dict(streams=['joint']), dict(streams=['joint', 'bone'], stale_keys=True)])
def test_crossclr_refuses_streams_it_cannot_train(change):
    with pytest.raises(ConfigError, match='at least two streams'):
        crossclr(**change)


@pytest.mark.parametrize('method', [aimclr, hiclr, skelemixclr])
def test_methods_of_one_stream_refuse_several(method):
    with pytest.raises(ConfigError, match='reads one stream; CrosSCLR'):
        method(stream=['joint', 'bone'])


def test_several_streams_are_views_of_the_same_augmented_clip():
    model, data = crossclr(), batch()
    model.data_preprocessor.begin_iteration(0, 0)
    query = model.data_preprocessor(data, training=True)['inputs']['query']
    assert torch.allclose(query['motion'][..., :-1, :], query['joint'].diff(dim=3), atol=1e-6)
    parents = list(model.data_preprocessor.layout.parents)
    assert torch.allclose(query['bone'], query['joint'] - query['joint'][..., parents], atol=1e-6)
    with pytest.raises(ConfigError, match="'colour' is unknown"):
        crossclr(streams=['joint', 'colour'])


def test_mixing_after_the_stream_leaves_no_trace_at_the_borders():
    """Pasted joints have the partner's motion; if mixed before the stream, the temporal borders differ."""
    data, grids, mixes = batch(), [], []
    for on in ('stream', 'joint'):
        mix = dict(source='query', mix=dict(type='SkeleMix', parts=(2, 2), units=(2, 2), on=on))
        model = build(SkeleMixCLR, dict(NORMAL_VIEWS, mix=mix), 'motion')
        model.data_preprocessor.begin_iteration(0, 0)
        inputs = model.data_preprocessor(data, training=True)['inputs']
        partner = inputs['query'][(torch.arange(6) + inputs['mix.shift']) % 6]
        frames = inputs['mix.grid'].repeat_interleave(4, dim=1)[:, None, None]
        pasted = torch.where(frames, partner, inputs['query'])
        grids.append(inputs['mix.grid'])
        mixes.append(torch.equal(pasted, inputs['mix']))
    assert torch.equal(*grids) and mixes == [True, False]
