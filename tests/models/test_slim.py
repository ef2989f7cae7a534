"""Laws of SLiM's self-distillation, and its loss written out in numpy."""

import math

import numpy as np
import pytest
import torch

from skeattn.errors import ConfigError
from skeattn.models import SLiM
from skeattn.models.backbones import RotaryTransformer
from skeattn.models.momentum import has_key_encoder
from tests.models.distilled import MASK, VIEWS, slim

N, T, V = 5, 16, 25


def native(persons=2, seed=0, longest=30):
    """A batch of the data set in double precision; the last person is absent from every other clip."""
    x = torch.randn(N, 3, longest, V, persons, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if persons > 1:
        x[::2, ..., -1] = 0
    return {'inputs': x[:, :, :T], 'native': x, 'frames': torch.tensor([30, 12, 22, 30, 17])}


def inputs_of(model, data=None, iteration=0):
    model.data_preprocessor.begin_iteration(0, iteration)
    return dict(model.data_preprocessor(data or native(), training=True)['inputs'])


def double(**changes):
    """With weights large enough that the logits differ."""
    model = slim(**changes).double()
    generator = torch.Generator().manual_seed(1)
    for p in model.parameters():
        p.data += 0.3 * torch.randn(p.shape, generator=generator, dtype=torch.float64)
    return model


def log_softmax(x):
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


def sinkhorn_knopp(logits, temperature):
    Q = np.exp(logits / temperature).T
    Q /= Q.sum()
    K, B = Q.shape
    for _ in range(3):
        Q /= Q.sum(axis=1, keepdims=True)
        Q /= K
        Q /= Q.sum(axis=0, keepdims=True)
        Q /= B
    return (Q * B).T


def spread(x):
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    total = 0.0
    for i in range(len(x)):
        nearest = max((j for j in range(len(x)) if j != i), key=lambda j, i=i: x[i] @ x[j])
        total -= math.log(np.linalg.norm(x[i] - x[nearest] + 1e-8) + 1e-8)
    return total / len(x)


def expected_losses(model, inputs):
    """The four losses view by view and token by token, from the networks' outputs."""

    def outputs(encoder, classes, patches, name, masked):
        with torch.no_grad():
            states = encoder.backbone.read(inputs[name], masked, model.mask_token)
            return (
                states.summary.numpy(),
                classes(states.summary).numpy(),
                patches(states.tokens).numpy(),
            )

    names, locals_ = ('global1', 'global2'), ('long1', 'short2')
    coin, mask = inputs['global1.coin'][:, None], inputs['global1.masked']
    masks = {'global1': mask & coin, 'global2': mask & ~coin} | {n: inputs[f'{n}.masked'] for n in locals_}
    heads = model.teacher_heads
    teacher = {n: outputs(model.encoder, heads['class'], heads['patch'], n, None) for n in names}
    student = {n: outputs(model.student, model.class_head, model.patch_head, n, masks[n]) for n in (*names, *locals_)}
    tau = model.teacher_temperature.item()
    t = sinkhorn_knopp(np.concatenate([teacher[n][1] for n in names]), tau)
    targets = dict(zip(names, (t[:N], t[N:]), strict=True))

    def entropy(target, logits):
        return -(target * log_softmax(logits / 0.1)).sum(axis=-1)

    pairs = 2 + 2 * len(locals_)
    crossed = [entropy(targets[a], student[b][1]) for a, b in (names, names[::-1])]
    L_global = 2 * np.concatenate(crossed).mean() / pairs
    L_local = sum(entropy(targets[g], student[n][1]).mean() for n in locals_ for g in names) / pairs
    where = [(n, i, j) for n in names for i in range(N) for j in np.flatnonzero(masks[n][i].numpy())]
    patch_targets = sinkhorn_knopp(np.stack([teacher[n][2][i, j] for n, i, j in where]), tau)
    each = {}
    for (n, i, j), target in zip(where, patch_targets, strict=True):
        each.setdefault((n, i), []).append(entropy(target, student[n][2][i, j]))
    assert len(each) == N
    L_patch = sum(np.mean(values) for values in each.values()) / (2 * N)
    L_koleo = sum(spread(student[n][0]) for n in names)
    total = L_global + L_local + L_patch + 0.1 * L_koleo
    return {'loss': total, 'L_global': L_global, 'L_local': L_local, 'L_patch': L_patch, 'L_koleo': L_koleo}


@pytest.mark.parametrize('iteration', [0, 1])
def test_the_losses_are_those_written_out(iteration):
    model = double()
    inputs = inputs_of(model, iteration=iteration)
    losses, expected = model.loss(inputs), expected_losses(model, inputs)
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        assert losses[name].item() == pytest.approx(value, rel=1e-9), name


def test_permuting_clips_permutes_nothing_but_the_clips():
    model = double()
    inputs, order = inputs_of(model), torch.tensor([3, 1, 4, 0, 2])
    permuted = {name: value[order] for name, value in inputs.items()}
    for name, value in model.loss(inputs).items():
        torch.testing.assert_close(model.loss(permuted)[name], value, rtol=1e-12, atol=1e-12)


def test_a_clip_without_masked_tokens_adds_nothing_to_the_loss():
    """Of a small budget every tube can be too large."""
    model = double()
    inputs = inputs_of(model)
    for clips in ([1], range(5)):
        for clip in clips:
            inputs['global1.masked'][clip] = False
        losses = model.loss(inputs)
        assert all(torch.isfinite(value) for value in losses.values())
    assert losses['L_patch'] == 0


def test_absent_persons_change_neither_views_nor_loss():
    """In training they are never picked; of the features that are evaluated they are left out."""
    model, alone = double(), native(persons=1)
    beside = {**alone, 'native': torch.cat([alone['native'], 0 * alone['native']], dim=4)}
    one, two = inputs_of(model, alone), inputs_of(model, beside)
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert model.loss(one)['loss'] == model.loss(two)['loss']
    x, model = torch.randn(4, 3, 16, 25, 1, dtype=torch.float64), model.eval()
    for source in ('backbone', 'class'):
        features = [model.features({'inputs': x}, source), model.features({'inputs': torch.cat([x, 0 * x], 4)}, source)]
        torch.testing.assert_close(*features, rtol=1e-12, atol=1e-12)


def moved(inputs, view, token, clip=0):
    """The inputs with the coordinates of one token of one clip changed."""
    t, v = divmod(token, V)
    x = inputs[view].clone()
    x[clip, :, :, 4 * t : 4 * t + 4, v] += 1
    return {**inputs, view: x}


@pytest.mark.parametrize('view', ['global1', 'long1', 'short2'])
def test_a_masked_token_never_reaches_the_student(view):
    model = double()
    inputs = inputs_of(model)
    masked = inputs[f'{view}.masked']
    if view == 'global1':
        masked = masked & inputs['global1.coin'][:, None]
    clip = int(masked.any(dim=1).nonzero()[0])
    hidden, seen = (int(where[clip].nonzero()[0]) for where in (masked, ~masked))
    before = model.read(inputs[view], masked)
    for token, changes in ((hidden, False), (seen, True)):
        after = model.read(moved(inputs, view, token, clip)[view], masked)
        for a, b in zip(before, after, strict=True):
            assert torch.equal(a, b) == (not changes)


def test_of_each_clip_one_global_view_is_masked_for_the_student_and_none_for_the_teacher(monkeypatch):
    model = double()
    inputs = inputs_of(model)
    reads = {'student': [], 'teacher': []}
    for name, encoder in (('student', model.student), ('teacher', model.encoder)):

        def noting(x, masked=None, content=None, listed=reads[name], read=encoder.backbone.read):
            listed.append((x, masked))
            return read(x, masked, content)

        monkeypatch.setattr(encoder.backbone, 'read', noting)
    model.loss(inputs)
    [(seen, none)] = reads['teacher']  # local views never reach it
    assert none is None and torch.equal(seen, torch.cat([inputs['global1'], inputs['global2']]))
    (globals_, masks), *rest = reads['student']
    assert torch.equal(globals_, seen)
    assert (masks.view(2, N, -1).any(dim=2).sum(dim=0) == 1).all()
    assert [x.shape[3] for x, _ in rest] == [8, 4] and all(masked.any(dim=1).all() for _, masked in rest)


def test_gradients_reach_the_student_and_its_heads_alone():
    model = double()
    model.loss(inputs_of(model))['loss'].backward()
    for name, p in model.named_parameters():
        teacher = name.startswith(('encoder.', 'teacher_heads.'))
        assert (p.grad is None) == teacher == (not p.requires_grad), name
        assert teacher or p.grad.abs().max() > 0, name


def test_the_teacher_is_the_moving_average_of_the_student():
    model = double()
    pairs = [(model.student, model.encoder), (model.class_head, model.teacher_heads['class'])]
    pairs.append((model.patch_head, model.teacher_heads['patch']))
    average = [[p.clone() for p in teacher.parameters()] for _, teacher in pairs]
    for step in range(4):
        m = 0.9 + 0.02 * step
        for (student, _), values in zip(pairs, average, strict=True):
            for p, value in zip(student.parameters(), values, strict=True):
                p.data += torch.randn_like(p)
                value.mul_(m).add_(p.data, alpha=1 - m)
        model.update_key_encoder(m, buffers=True)
    for (_, teacher), values in zip(pairs, average, strict=True):
        for p, value in zip(teacher.parameters(), values, strict=True):
            torch.testing.assert_close(p.data, value, rtol=0, atol=1e-12)
    assert has_key_encoder(model)


def test_the_teacher_starts_as_the_student_and_must_be_updated():
    model = slim(init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02))
    model.init_weights()
    for p, q in zip(model.student.parameters(), model.encoder.parameters(), strict=True):
        assert torch.equal(p, q)
    data = {name: value.float() if value.is_floating_point() else value for name, value in native().items()}
    model(inputs_of(model, data), mode='loss')
    with pytest.raises(ConfigError, match=r'default_hooks\.momentum'):
        model(inputs_of(model, data, 1), mode='loss')


def test_the_temperature_of_the_teacher_sharpens_its_targets():
    model = double()
    inputs = inputs_of(model)
    first, places = inputs['global1.coin'][:, None], inputs['global1.places']
    hidden = inputs['global1.masked'].gather(1, places)
    views = torch.cat([inputs['global1'], inputs['global2']])
    largest = []
    for temperature in (0.04, 0.07):
        model.teacher_temperature.fill_(temperature)
        classes, patches = model.targets(views, first, places, hidden)
        torch.testing.assert_close(classes.sum(dim=1), torch.ones(2 * N, dtype=torch.float64))
        torch.testing.assert_close(patches.sum(dim=2), hidden.double())
        largest.append(classes.max(dim=1).values.mean())
    assert largest[0] > largest[1]
    assert 'teacher_temperature' not in model.state_dict()


def test_class_tokens_are_a_source_of_features():
    model, x = double(persons='all').eval(), torch.randn(3, 3, 16, 25, 2, dtype=torch.float64)
    persons = x.permute(0, 4, 1, 2, 3).flatten(0, 1)[:, None]
    expected = model.encoder.backbone.read(persons).summary.view(3, 2, -1).mean(dim=1)
    torch.testing.assert_close(model.features({'inputs': x}, 'class'), expected)
    expected = model.encoder.backbone.read(persons).tokens.mean(dim=1).view(3, 2, -1).mean(dim=1)
    torch.testing.assert_close(model.features({'inputs': x}), expected)
    assert model.feature_sources() == ('backbone',)


def test_settings_that_cannot_work_are_named():
    with pytest.raises(ConfigError, match=r"type='STGCN' has no class token.*RotaryTransformer"):
        SLiM(dict(type='STGCN', layout='ntu25', base_channels=4, out_channels=16))
    several = {name: {**view, 'source': 'clip'} for name, view in VIEWS.items() if name != 'person'}
    model = slim(data_preprocessor=dict(type='SkeletonPreprocessor', layout='ntu25', views=several)).double()
    with pytest.raises(ConfigError, match=r'show 2 persons, SLiM reads one.*PickPerson'):
        model.loss(inputs_of(model))
    wrong = {**VIEWS, 'global1': {**VIEWS['global1'], 'mask': {**MASK, 'patch': 8}}}
    model = slim(data_preprocessor=dict(type='SkeletonPreprocessor', layout='ntu25', views=wrong)).double()
    with pytest.raises(ConfigError, match=r'has 100 tokens, but its TubeMask drew 50: .*patch=4'):
        model.loss(inputs_of(model))
    only = {name: view for name, view in VIEWS.items() if name not in ('long1', 'short2')}
    model = slim(data_preprocessor=dict(type='SkeletonPreprocessor', layout='ntu25', views=only)).double()
    with pytest.raises(ConfigError, match='has no local view'):
        model.loss(inputs_of(model))


def test_the_encoder_is_released_slims_in_size():
    """6.37 million weights, as published."""
    backbone = RotaryTransformer('ntu25')
    assert round(sum(p.numel() for p in backbone.parameters()) / 1e6, 2) == 6.37
