"""Laws of masked motion prediction and of its relatives."""

import pytest
import torch

from skeattn.errors import ConfigError
from skeattn.evaluation.complexity import counted_work
from skeattn.models import MAMP
from skeattn.models.backbones import SkeletonTransformer
from skeattn.models.momentum import has_key_encoder
from skeattn.models.tokens import (
    least,
    motion,
    motion_aware_noise,
    motion_intensity,
    num_visible,
    patch_normalised,
    patchify,
    take,
    time_normalised,
)
from tests.models.masked import VIEWS, mamp

TARGETS = ('motion', 'joint', 'nat', 'latent')
every_target = pytest.mark.parametrize('target', TARGETS)


def persons(n=6, T=16, V=25, seed=0):
    return torch.randn(n, 3, T, V, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def uniform(n=6, L=100, seed=1):
    return torch.rand(n, L, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def double(**changes):
    return mamp(**changes).double()


def test_values_of_a_token_are_ordered_by_frame_and_coordinate():
    x = persons()
    patches = patchify(x, 4)
    assert patches.shape == (6, 100, 12)
    assert torch.equal(patches[2, 3 * 25 + 7].view(4, 3), x[2, :, 12:16, 7].T)
    short = patchify(x[:, :, :14], 4)
    assert torch.equal(short[2, 3 * 25 + 7].view(4, 3), x[2][:, [12, 13, 13, 13], 7].T)


def test_motion_and_its_intensity():
    x = persons()
    assert torch.equal(motion(x)[:, :, :-1], x[:, :, 1:] - x[:, :, :-1]) and not motion(x)[:, :, -1].any()
    intensity = motion_intensity(patchify(x, 4), 25).view(6, 4, 25)
    expected = (x[2, :, 8:12, 7] - x[2, :, 4:8, 7]).abs().mean()
    assert torch.allclose(intensity[2, 2, 7], expected) and torch.equal(intensity[:, 0], intensity[:, 1])
    assert not motion_intensity(patchify(x[:, :, :4], 4), 25).any()


def test_a_missing_joint_has_no_motion():
    """One joint lost in one frame of a person who moves an arm was the strongest motion of the clip."""
    x, seen = persons(T=24), torch.ones(6, 24, 25, dtype=torch.bool)
    assert torch.equal(motion(x, seen), motion(x))
    seen[1, 9, 14] = False
    lost = x.clone()
    lost[1, :, 9, 14] += 5
    moves = motion(lost, seen)
    assert not moves[1, :, 8:10, 14].any()
    moves[1, :, 8:10, 14] = motion(x)[1, :, 8:10, 14]
    assert torch.equal(moves, motion(x))
    marks = patchify(seen[:, None].to(x).expand_as(x), 4)
    expected = (patchify(x, 4).view(6, 6, 25, 12).diff(dim=1).abs()).view(6, 5, 25, 4, 3)
    expected[1, 1:3, 14, 1] = 0  # frame 9 is the second of the third patch
    found = motion_intensity(patchify(lost, 4), 25, marks).view(6, 6, 25)
    torch.testing.assert_close(found[:, 1:], expected.flatten(3).mean(dim=3), rtol=1e-12, atol=0)
    model, u = double(), uniform(L=150)
    assert torch.equal(model.visible(lost, u, torch.ones_like(seen)), model.visible(lost, u))
    resting = torch.zeros_like(x)
    resting[:, :, 9, 14] = 5
    assert torch.equal(model.visible(resting, u, seen & (resting[:, 0] == 0)), model.visible(torch.zeros_like(x), u))
    assert not model.target_of(resting, seen & (resting[:, 0] == 0)).any()


def test_the_number_of_visible_tokens_is_rounded_as_released():
    assert (num_visible(750, 0.9), num_visible(100, 0.9), num_visible(100, 0.75)) == (74, 9, 25)


def kept_counts(intensity, tau, draws=4000, keep=10):
    """How often each token stays, under independent draws of one mask."""
    noise = motion_aware_noise(intensity.expand(draws, -1), uniform(draws, intensity.shape[1]), tau)
    return torch.zeros(intensity.shape[1]).index_add(0, least(noise, keep).flatten(), torch.ones(draws * keep))


def chi_square(counts, draws=4000, keep=10):
    """Of the counts against equal shares; mean 99, standard deviation 14 where each of 100 tokens is alike.

    Without replacement the counts of a draw are correlated, so that the sum loses one degree of freedom.
    """
    L = len(counts)
    p = keep / L
    return ((counts - draws * p).square().sum() / (draws * p * (1 - p)) * (L - 1) / L).item()


def test_a_large_temperature_masks_uniformly_and_a_small_one_hides_what_moves():
    intensity = torch.zeros(1, 100, dtype=torch.float64)
    intensity[:, :40] = torch.linspace(0.2, 1, 40)
    assert abs(chi_square(kept_counts(intensity, tau=1e6)) - 99) < 4 * 14
    released = kept_counts(intensity, tau=0.8)
    assert chi_square(released) > 99 + 20 * 14
    assert released[30:40].mean() < 0.6 * released[40:].mean()
    hidden = kept_counts(intensity, tau=0.01)
    assert hidden[:40].sum() == 0
    assert abs(chi_square(kept_counts(0 * intensity, tau=0.8)) - 99) < 4 * 14


def test_a_tube_is_masked_or_visible_as_a_whole_by_its_mean_intensity():
    model, x, u = double(tube=2, tau=1e-6, mask_ratio=0.5), persons(), uniform()
    visible = model.visible(x, u)
    assert visible.shape == (6, 2 * 25) and all(len(row.unique()) == 50 for row in visible)
    intensity = motion_intensity(patchify(x, 4), 25).view(6, 2, 2, 25).mean(dim=2)  # of 2 tubes of 25 joints
    for row, still in zip(visible, intensity.flatten(1).topk(25, largest=False).indices, strict=True):
        patches, joints = row // 25, row % 25
        assert {(t // 2, v) for t, v in zip(patches.tolist(), joints.tolist(), strict=True)} == {
            divmod(tube, 25) for tube in still.tolist()
        }
    with pytest.raises(ConfigError, match=r'has 4 patches, which model\.tube=3 does not divide'):
        double(tube=3).visible(x, u)
    with pytest.raises(ConfigError, match=r'leaves 0 of 25 tubes visible'):
        double(tube=4, mask_ratio=0.99).visible(x, u)
    assert torch.equal(double(tube=1).visible(x, u), double().visible(x, u))


@every_target
def test_permuting_clips_permutes_losses(target):
    model, x, u = double(target=target), persons(), uniform()
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    losses = model.person_losses(x, u)
    assert losses.shape == (6,) and losses.unique().numel() == 6
    assert torch.allclose(model.person_losses(x[order], u[order]), losses[order], atol=1e-12)


def test_all_tokens_in_any_order_are_the_unmasked_encoder():
    model, x = double().eval(), persons()
    backbone = model.encoder.backbone
    everything = least(uniform(), 100)
    encoded = backbone.encode(take(backbone.tokens(x[:, None]), everything))
    expected = backbone(x[:, None])[:, 0].flatten(2).transpose(1, 2)
    assert torch.allclose(encoded, take(expected, everything), atol=1e-12)


def test_a_masked_token_reaches_the_prediction_by_no_way_but_the_target():
    model, x, u = double(mask='random'), persons(), uniform()
    visible = model.visible(x, u)
    masked = next(j for j in range(100) if j not in visible[0])
    t, v = divmod(masked, 25)
    moved = x.clone()
    moved[0, :, 4 * t : 4 * t + 4, v] += 1
    assert torch.equal(model.predict(moved, visible), model.predict(x, visible))
    first = visible[0, 0].item()
    moved[0, :, 4 * (first // 25), first % 25] += 1
    assert not torch.allclose(model.predict(moved, visible)[0], model.predict(x, visible)[0])


@every_target
def test_absent_persons_do_not_change_the_loss_if_those_present_count(target):
    model, x, u = double(target=target, persons='present'), persons(4), uniform(8).view(4, 2, 100)
    clips = torch.stack([x, torch.zeros_like(x)], dim=1)
    clips[2] = clips[2].flip(0)
    u[2, 1] = u[2, 0]
    with_absent = model.loss({'query': clips, 'query.uniform': u})['loss']
    alone = model.loss({'query': x[:, None], 'query.uniform': u[:, :1]})['loss']
    assert torch.allclose(with_absent, alone, atol=1e-12)
    assert torch.allclose(alone, model.person_losses(x, u[:, 0]).mean(), atol=1e-12)


def test_each_clip_has_the_mean_loss_of_its_present_persons():
    """So the loss of two processes is the mean of theirs, whoever is absent."""
    model, x, u = double(persons='present'), persons(4).view(2, 2, 3, 16, 25), uniform(4).view(2, 2, 100)
    x[1, 0] = 0
    losses = model.person_losses(x.flatten(0, 1), u.flatten(0, 1))
    expected = ((losses[0] + losses[1]) / 2 + losses[3]) / 2
    assert torch.allclose(model.loss({'query': x, 'query.uniform': u})['loss'], expected, atol=1e-12)
    nobody = model.loss({'query': 0 * x, 'query.uniform': u})['loss']
    assert nobody == 0


def test_an_absent_person_is_a_still_one_as_released():
    model, x, u = double(), persons(4).view(2, 2, 3, 16, 25), uniform(4).view(2, 2, 100)
    x[1, 0] = 0
    losses = model.person_losses(x.flatten(0, 1), u.flatten(0, 1))
    assert torch.allclose(model.loss({'query': x, 'query.uniform': u})['loss'], losses.mean(), atol=1e-12)
    assert not model.target_of(x.flatten(0, 1))[2].any()


@pytest.mark.slow
def test_a_tenth_of_the_tokens_costs_a_fifth_at_most():
    backbone = SkeletonTransformer('ntu25', depth=8, ratio=4.0, dropout=0.0)

    def flops(tokens):
        with counted_work() as counter:
            backbone.encode(torch.zeros(1, tokens, 256))
        return counter.get_total_flops()

    assert flops(750) > 10 * flops(74)


def test_nat_keeps_what_a_patch_loses():
    x = persons() * torch.linspace(0.1, 3, 25, dtype=torch.float64) + 5
    x[:, :, :, 3] = 2.0  # a still joint
    y = double(target='nat').target_of(x)
    series = y.view(6, 4, 25, 4, 3).permute(0, 4, 1, 3, 2).flatten(2, 3)  # (B, C, T, V)
    assert torch.allclose(series, time_normalised(x), atol=1e-12)
    assert torch.allclose(series.mean(dim=2), torch.zeros(6, 3, 25, dtype=torch.float64), atol=1e-9)
    variance = series.var(dim=2)
    moving = [v for v in range(25) if v != 3]
    assert torch.allclose(variance[..., moving], torch.ones_like(variance[..., moving]), atol=1e-3)
    assert not series[..., 3].any()
    patches = patchify(x, 4)
    assert y.mean(dim=2).abs().max() > 0.5 and patch_normalised(patches).mean(dim=2).abs().max() < 1e-9


def test_the_latent_target_is_the_mean_of_normalised_hidden_states():
    model, x = double(target='latent'), persons()
    for p in model.teacher.parameters():
        p.data += 0.1 * torch.randn_like(p)
    E = model.teacher.backbone
    tokens, states = E.tokens(x[:, None]), []
    for layer in E.layers:
        tokens = layer(tokens)
        mean, std = tokens.mean(1, keepdim=True), (tokens.var(1, keepdim=True, unbiased=False) + 1e-5).sqrt()
        states.append((tokens - mean) / std)
    mean = torch.stack(states).mean(dim=0)
    expected = (mean - mean.mean(2, keepdim=True)) / (mean.var(2, keepdim=True, unbiased=False) + 1e-5).sqrt()
    target = model.target_of(x)
    assert torch.allclose(target, expected, atol=1e-9) and not target.requires_grad
    assert model.predict(x, model.visible(x, uniform())).shape == target.shape


def test_the_teacher_has_one_target_for_a_clip_in_training():
    model, x = mamp(target='latent', backbone=dict(dropout=0.5)).train(), persons().float()
    assert model.encoder.training and torch.equal(model.target_of(x), model.target_of(x))


def test_the_teacher_is_an_average_of_the_encoder_and_has_no_gradient():
    model = mamp(target='latent')
    model.init_weights()
    before = {name: p.clone() for name, p in model.teacher.named_parameters()}
    assert all(torch.equal(p, before[name]) for name, p in model.encoder.named_parameters())
    for p in model.encoder.parameters():
        p.data.add_(1)
    model.update_key_encoder(0.75, buffers=True)
    for name, p in model.teacher.named_parameters():
        assert torch.allclose(p, before[name] + 0.25) and not p.requires_grad


@every_target
def test_a_gradient_reaches_every_weight_of_encoder_and_decoder(target):
    model = double(target=target)
    model.loss({'query': persons()[:, None], 'query.uniform': uniform()[:, None]})['loss'].backward()
    for name, p in model.named_parameters():
        assert (p.grad is None) == name.startswith('teacher.'), name
        assert p.grad is None or p.grad.abs().max() > 0, name


def test_only_the_latent_target_has_a_key_encoder():
    for target in TARGETS:
        model = mamp(target=target)
        assert has_key_encoder(model) == (target == 'latent') == any('teacher' in n for n in model.state_dict())
        data = {'inputs': torch.randn(2, 3, 16, 25, 1)}
        for iteration in range(2):
            model.data_preprocessor.begin_iteration(0, iteration)
            inputs = model.data_preprocessor(data, training=True)
            if target == 'latent' and iteration:
                with pytest.raises(ConfigError, match=r'default_hooks\.momentum'):
                    model(**inputs, mode='loss')
            else:
                model(**inputs, mode='loss')['loss'].backward()


def test_evaluation_reads_the_mean_of_all_tokens():
    model, x = double().eval(), torch.randn(3, 3, 16, 25, 2, dtype=torch.float64)
    expected = model.encoder.backbone(x.permute(0, 4, 1, 2, 3)).mean(dim=(1, 3, 4))
    assert torch.allclose(model.features({'inputs': x}), expected, atol=1e-12)


def test_a_score_is_encoded_and_not_predicted():
    preprocessor = dict(type='SkeletonPreprocessor', layout='coco17', views=VIEWS, channels=('x', 'y', 'score'))
    model = double(layout='coco17', data_preprocessor=preprocessor)
    x = persons(V=17)
    scored = x.clone()
    scored[:, 2] += 1
    assert model.target_of(x).shape == (6, 4 * 17, 8)
    assert torch.equal(model.target_of(x), model.target_of(scored))
    u = uniform(L=68)
    visible = model.visible(x, u)
    assert torch.equal(visible, model.visible(scored, u))
    assert not torch.allclose(model.predict(x, visible), model.predict(scored, visible))


def test_positions_may_be_sinusoids_for_clips_of_any_length():
    model = double(backbone=dict(position='sinusoid', num_frames=None))
    assert model.decoder.times is None
    assert model.person_losses(persons(T=22), uniform(L=150)).isfinite().all()


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(target='pixels'), r"model\.target='pixels'.*motion, joint, nat, latent"),
        (dict(mask='tubes'), r"model\.mask='tubes'.*motion, random"),
        (dict(tube=0), r'model\.tube=0 must be at least 1'),
    ],
)
def test_a_setting_that_cannot_work_is_named(changes, message):
    with pytest.raises(ConfigError, match=message):
        mamp(**changes)


def test_another_encoder_is_refused():
    with pytest.raises(ConfigError, match=r"type='STGCN' has no tokens.*SkeletonTransformer"):
        MAMP(dict(type='STGCN', layout='ntu25', base_channels=4, out_channels=16))


def test_numbers_for_other_tokens_and_masks_without_tokens_are_named():
    with pytest.raises(
        ConfigError, match=r'100 tokens.*TokenNoise.*50: put it behind what changes the frames, with patch=4'
    ):
        double().visible(persons(), uniform(L=50))
    for ratio, visible in ((0.999, 0), (0.0, 100)):
        with pytest.raises(ConfigError, match=rf'mask_ratio={ratio} leaves {visible} of 100 tokens visible'):
            double(mask_ratio=ratio).visible(persons(), uniform())


def test_the_choices_are_printed_with_their_origin():
    rows = mamp(target='nat', tau=0.5).paper_vs_release()
    assert 'inferred' in rows['target'][1] and 'custom' in rows['mask'][1]
    assert {'mask_ratio', 'persons', 'views.query.rotation.per'} <= rows.keys()


@pytest.mark.parametrize(
    ('target', 'tau', 'expected'),
    [
        ('motion', 0.8, 'tau 0.8: as released for NTU-60 and PKU-MMD'),
        ('joint', 0.75, 'tau 0.75: as released for NTU-120'),
        ('motion', 0.15, 'tau 0.15: custom; released: 0.8 and 0.75'),
        ('latent', 0.15, 'tau 0.15: at which Skeleton2vec ends'),
        ('latent', 0.8, 'tau 0.8: custom; released: 0.15'),
    ],
)
def test_a_temperature_is_named_by_the_release_that_has_it(target, tau, expected):
    assert mamp(target=target, tau=tau).paper_vs_release()['mask'][1] == expected


@pytest.mark.parametrize('tau', [0.0, -0.5])
def test_a_temperature_that_would_reverse_the_mask_is_refused(tau):
    with pytest.raises(ConfigError, match=rf'model.tau={tau} must be above 0; model.mask="random"'):
        mamp(tau=tau)
