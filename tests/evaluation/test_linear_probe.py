import statistics
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from torch import nn

from skeattn.apis import build_splits, load_model
from skeattn.engine.config import resolve_config
from skeattn.errors import ConfigError, NonFiniteError
from skeattn.evaluation import Features, LinearProbe, linear_probe, scaling
from skeattn.evaluation.features import frozen
from skeattn.evaluation.linear_classifier import LinearClassifier
from skeattn.models.encoder import Encoder
from skeattn.models.heads import LinearHead
from skeattn.protocols.settings import build_protocol, read_protocol
from skeattn.registry import EVALUATORS, HEADS
from tests.conftest import needs_gpu
from tests.engine.toy import tool, toy_config
from tests.evaluation.standins import blobs
from tests.fidelity.golden import Golden, assert_close, to_model


@pytest.mark.slow
def test_cached_features_give_the_losses_of_the_encoder_in_every_step(tmp_path: Path) -> None:
    """Computed in double precision; BatchNorm is in eval mode, so a clip's feature does not depend on its batch."""
    cfg = resolve_config(toy_config(tmp_path))
    train, _ = build_splits(cfg)
    torch.manual_seed(4)
    model = load_model(cfg).double()

    def encode(batch: torch.Tensor) -> torch.Tensor:
        with frozen(model):
            return model.embed(to_model(torch.as_tensor(train.clips)[batch].double()), 'backbone')

    x, labels = encode(torch.arange(len(train))), torch.as_tensor(train.labels)
    bank = Features(x, labels, torch.as_tensor(train.subjects), list(train.names))
    probe = LinearProbe(epochs=12, milestones=(4, 8), batch_size=8, weight_decay=1e-3, seed=6)
    reference = tool('analysis_tools/benchmark_linear_probe').probe_through_encoder(probe, encode, labels, 3)
    losses = probe.evaluate(bank, bank).curves['loss']
    assert x.dtype == torch.float64 and reference[0] - min(reference) > 0.01
    assert max(abs(a - b) for a, b in zip(losses, reference, strict=True)) <= 1e-6


def test_two_steps_equal_the_released_linear_evaluation() -> None:
    golden = Golden('linear_eval_step')
    settings, prefix = golden.meta, 'encoder_q.backbone.'
    start = golden.packed('state0')
    dim = start[f'{prefix}fc.weight'].shape[1]
    encoder = Encoder({'type': 'STGCN', 'layout': 'ntu25', 'base_channels': 4, 'out_channels': dim}, {'type': 'MLP'})
    state = {name: value for name, value in golden.converted('state0').items() if name.startswith(prefix)}
    encoder.double().backbone.load_state_dict({name.removeprefix(prefix): value for name, value in state.items()})
    encoder.backbone.A.copy_(start[f'{prefix}A'])  # the golden run's adjacency is not rounded to single precision
    classifier = LinearClassifier(start[f'{prefix}fc.weight'].clone(), momentum=settings['sgd_momentum'])
    classifier.bias.copy_(start[f'{prefix}fc.bias'])
    for step in ('step1', 'step2'):
        with frozen(encoder):
            x = encoder.map(to_model(golden[f'{step}/x'])).pool()
        assert_close(classifier.logits(x), golden[f'{step}/logits'], f'{step} logits')
        before = [velocity.clone() for velocity in classifier.velocity]
        loss = classifier.step(x, golden[f'{step}/label'].long(), settings['base_lr'])
        assert_close(loss, golden[f'{step}/loss_total'], f'{step} loss')
        grad, after = golden.packed(f'{step}/grad'), golden.packed(f'{step}/state')
        pairs = zip(('weight', 'bias'), before, classifier.velocity, strict=True)
        for name, old, new in pairs:
            gradient = new - settings['sgd_momentum'] * old
            assert_close(gradient, grad[f'{prefix}fc.{name}'], f'{step} gradient of {name}')
            assert_close(getattr(classifier, name), after[f'{prefix}fc.{name}'], f'{step} {name}')


def test_mamp_linear_probe_equals_the_released_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Order of the clips, losses, gradients, learning rates, running statistics and logits of five epochs."""
    golden = Golden('mamp_linear_probe')
    settings, start, epochs = golden.meta, golden.packed('state0'), iter(golden['order'].long())
    steps: list[tuple[float, float]] = []
    states: list[dict[str, torch.Tensor]] = []
    gradients: list[torch.Tensor] = []
    logits: list[torch.Tensor] = []

    class Watched(LinearClassifier):
        def step(self, x: torch.Tensor, labels: torch.Tensor, rate: float) -> torch.Tensor:
            loss = super().step(x, labels, rate)
            steps.append((rate, loss.item()))
            gradients.extend(velocity.clone() for velocity in self.velocity if len(gradients) < 2)
            states.append({name: getattr(self, name).clone() for name in NAMES})
            return loss

        def logits(self, x: torch.Tensor) -> torch.Tensor:
            logits.append(super().logits(x))
            return logits[-1]

    NAMES = ('weight', 'bias', 'running_mean', 'running_var')
    assert not start['fc.1.bias'].any()
    monkeypatch.setattr(linear_probe, 'initial_weights', lambda *_: start['fc.1.weight'].clone())
    monkeypatch.setattr(linear_probe, 'LinearClassifier', Watched)
    monkeypatch.setattr(LinearProbe, 'batches', lambda *_: list(next(epochs)))
    bank, test = (
        Features(golden[f'{part}/feature'].double(), golden[f'{part}/label'].long(), torch.zeros(0), [])
        for part in ('train', 'test')
    )
    protocol = read_protocol('linear_mamp', Config({}))
    assert (protocol['lr'], protocol['momentum'], protocol['weight_decay']) == (
        settings['base_lr'], settings['sgd_momentum'], settings['weight_decay']
    )  # fmt: skip
    fit = build_protocol({**protocol, 'epochs': settings['epochs'], 'batch_size': settings['batch']}).fit(bank, test)
    rates, losses = torch.tensor(steps, dtype=torch.float64).T.reshape(2, 5, 5)
    assert_close(rates, golden['lr'], 'learning rates')
    assert_close(losses, golden['loss'], 'losses')
    assert_close(torch.stack(logits), golden['test/logits'], 'test logits')
    assert_close(torch.tensor(fit.top1, dtype=torch.float64), golden['test/top1'], 'test accuracy')
    expected = golden.packed('first/grad')
    for ours, name in zip(gradients, ('fc.1.weight', 'fc.1.bias'), strict=True):
        assert_close(ours, expected[name], f'first gradient of {name}')
    for epoch in range(5):
        for name in NAMES:
            assert_close(states[5 * epoch + 4][name], golden[name][epoch], f'{name} after epoch {epoch}')


def test_mamp_batches_are_full() -> None:
    sizes = [len(batch) for batch in LinearProbe(batch_size=8).batches(44, torch.Generator())]
    assert sizes == [8] * 5


@pytest.mark.parametrize('streams', [1, 2])
def test_batch_norm_makes_the_scale_of_features_irrelevant_in_training(streams: int) -> None:
    bank, test = (replace(blobs(40, seed, noise=2.0), num_streams=streams) for seed in (0, 1))
    scales = torch.logspace(-1, 3, 8)
    probe = LinearProbe(epochs=4, lr=0.1, batch_size=32, batch_norm=True, schedule='cosine', init_std=0.01)
    plain = probe.fit(bank, test).losses
    scaled = probe.fit(*(replace(part, x=part.x * scales) for part in (bank, test))).losses
    assert plain[0] - plain[-1] > 0.1 and scaled == pytest.approx(plain, abs=1e-3)


def test_further_probe_seeds_are_reported_beside_the_first_one() -> None:
    bank, test = blobs(40, 0, noise=4.0), blobs(30, 1, noise=4.0)
    alone = [LinearProbe(epochs=5, seed=seed).evaluate(bank, test) for seed in (2, 3, 4)]
    together = LinearProbe(epochs=5, seed=2, probe_seeds=3).evaluate(bank, test)
    values = [result.metrics['top1'] for result in alone]
    assert len(set(values)) > 1
    assert together.facts['top1_by_seed'] == dict(zip('234', values, strict=True))
    spread = {'top1_mean': statistics.mean(values), 'top1_std': statistics.stdev(values)}
    assert together.metrics == alone[0].metrics | spread
    assert torch.equal(together.test.scores, alone[0].test.scores) and together.curves == alone[0].curves
    assert torch.equal(together.heldout.scores, alone[0].heldout.scores)


def test_head_starts_as_released_and_leaves_the_global_generator_alone() -> None:
    state = torch.get_rng_state()
    head = HEADS.build(
        {'type': 'LinearHead', 'in_channels': 400, 'num_classes': 50, 'generator': torch.Generator().manual_seed(0)}
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert head.fc.weight.std().item() == pytest.approx(0.02, rel=0.05)
    assert abs(head.fc.weight.mean().item()) < 1e-3 and not head.fc.bias.any()


def test_separable_classes_are_learned_and_overlapping_ones_are_not() -> None:
    clean = LinearProbe(epochs=20)(blobs(40, 0, noise=0.1), blobs(20, 1, noise=0.1))
    assert clean['top1'] == 100.0
    noisy = LinearProbe(epochs=20)(blobs(40, 0, noise=50.0), blobs(20, 1, noise=50.0))
    assert noisy['top1'] < 60.0


def test_named_numbers_come_from_the_epochs_they_name() -> None:
    bank, test = blobs(40, 0, noise=2.0), blobs(30, 1, noise=2.0)
    probe = EVALUATORS.build({'type': 'LinearProbe', 'epochs': 15})
    metrics = probe(bank, test)
    trace = probe.fit(bank, test).top1
    assert len(trace) == 15
    assert metrics['top1'] == trace[-1] and metrics['top1_best'] == max(trace)
    assert metrics['top1_heldout'] in trace
    assert 'top5' not in metrics


def test_the_held_out_choice_ignores_test_labels() -> None:
    bank, test = blobs(40, 0, noise=2.0), blobs(30, 1, noise=2.0)
    probe = LinearProbe(epochs=15)
    trace = probe.fit(bank, test).top1
    flipped = Features(test.x, (test.labels + 1) % 3, test.subjects, test.names)
    flipped_trace = probe.fit(bank, flipped).top1
    epochs = {i for i, a in enumerate(trace) if a == probe(bank, test)['top1_heldout']}
    assert probe(bank, flipped)['top1_heldout'] in {flipped_trace[i] for i in epochs}


def test_top5_counts_the_five_highest_scores() -> None:
    metrics = LinearProbe(epochs=5)(blobs(20, 0, classes=6, noise=0.1), blobs(10, 1, classes=6, noise=0.1))
    assert metrics['top5'] == 100.0
    blind = LinearProbe(epochs=1, lr=1e-9)(blobs(20, 0, classes=6), blobs(10, 1, classes=6))
    assert blind['top5'] >= blind['top1']


def test_same_seed_same_result_and_the_global_generator_is_untouched() -> None:
    bank, test = blobs(40, 0, noise=2.0), blobs(30, 1, noise=2.0)
    state = torch.get_rng_state()
    first, again, other = (LinearProbe(epochs=3, seed=s).fit(bank, test).logits for s in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), state)


def test_incomplete_batch_is_dropped_unless_it_is_the_only_one() -> None:
    probe = LinearProbe(batch_size=128)
    sizes = {N: [len(b) for b in probe.batches(N, torch.Generator())] for N in (300, 128, 50)}
    assert sizes == {300: [128, 128], 128: [128], 50: [50]}


def by_autograd(probe: LinearProbe, bank: Features, test: Features) -> tuple[list[float], torch.Tensor]:
    """Losses of all steps and logits of the test clips: a head for each stream, torch's gradients and optimiser."""
    streams, width, classes = bank.num_streams, bank.x.shape[1] // bank.num_streams, 3
    generator = torch.Generator().manual_seed(probe.seed)
    heads = [LinearHead(width, classes, probe.init_std, generator).to(bank.x) for _ in range(streams)]
    norms = [nn.BatchNorm1d(width, eps=1e-6, affine=False) if probe.batch_norm else nn.Identity() for _ in heads]
    modules = nn.ModuleList([*heads, *norms]).to(bank.x)

    def logits(x: torch.Tensor) -> torch.Tensor:
        parts = x.split(width, dim=1)
        parts = [part / part.norm(dim=1, keepdim=True) if probe.normalise else part for part in parts]
        return sum(head(norm(part)) for head, norm, part in zip(heads, norms, parts, strict=True)) / streams

    parameters = [p for head in heads for p in head.parameters()]
    optimizer = torch.optim.SGD(parameters, probe.lr, probe.momentum, weight_decay=probe.weight_decay)
    losses = []
    for epoch in range(probe.epochs):
        N, size = len(bank), probe.batch_size
        batches = torch.randperm(N, generator=generator)[: N // size * size].split(size)
        steps = []
        for step, batch in enumerate(batches):
            optimizer.param_groups[0]['lr'] = probe.rate(epoch + step / len(batches))
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(logits(bank.x[batch]), bank.labels[batch])
            loss.backward()
            optimizer.step()
            steps.append(loss.item())
        losses.append(sum(steps) / len(steps))
    modules.eval()
    return losses, logits(test.x).detach()


PAPER = {'epochs': 4, 'milestones': (2,), 'weight_decay': 0.01}
MAMP = {'epochs': 4, 'lr': 0.1, 'schedule': 'cosine', 'batch_norm': True, 'init_std': 0.01}


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('settings', [PAPER, {**PAPER, 'normalise': True}, MAMP], ids=['paper', 'normalise', 'mamp'])
@pytest.mark.parametrize('streams', [1, 3])
def test_losses_and_logits_are_those_of_autograd(streams: int, settings: dict, dtype: torch.dtype) -> None:
    """Each stream has a head of its own there, and the heads learn together from the mean of their logits."""
    bank, test = (blobs(40, seed, dim=12, noise=2.0) for seed in (0, 1))
    bank, test = (replace(part, x=part.x.to(dtype), num_streams=streams) for part in (bank, test))
    probe = LinearProbe(batch_size=32, seed=5, **settings)
    losses, logits = by_autograd(probe, bank, test)
    fit = probe.fit(bank, test)
    tolerance = 1e-6 if dtype == torch.float32 else 1e-12
    assert fit.losses == pytest.approx(losses, abs=tolerance, rel=tolerance) and fit.logits.dtype == dtype
    torch.testing.assert_close(fit.logits, logits, atol=20 * tolerance, rtol=0)


@pytest.mark.parametrize('batch_norm', [False, True])
def test_a_step_reads_no_value(batch_norm: bool) -> None:
    """Meta tensors have none: on a GPU a read would wait for all steps before it."""
    classifier = LinearClassifier(torch.empty(3, 8, device='meta'), 2, 0.9, 0.01, batch_norm)
    x, labels = torch.empty(16, 8, device='meta'), torch.empty(16, dtype=torch.int64, device='meta')
    assert classifier.step(x, labels, 3.0).is_meta and classifier.logits(x).shape == (16, 3)


@needs_gpu
@pytest.mark.parametrize('settings', [PAPER, {**PAPER, 'normalise': True}, MAMP], ids=['paper', 'normalise', 'mamp'])
def test_a_gpu_finds_the_same_losses(settings: dict) -> None:
    bank, test = (replace(part, x=part.x.double()) for part in (blobs(40, 0), blobs(30, 1)))
    cpu, gpu = (LinearProbe(batch_size=32, **settings, device=device).fit(bank, test) for device in ('cpu', 'cuda'))
    assert gpu.losses == pytest.approx(cpu.losses, abs=1e-9) and gpu.top1 == cpu.top1
    torch.testing.assert_close(gpu.logits, cpu.logits)


def test_features_stay_as_they_are() -> None:
    bank, test = blobs(40, 0), blobs(30, 1)
    before = [part.x.clone() for part in (bank, test)]
    for settings in ({}, {'normalise': True}, {'batch_norm': True, 'lr': 0.1}):
        LinearProbe(epochs=2, **settings).fit(bank, test)
    assert all(torch.equal(part.x, x) for part, x in zip((bank, test), before, strict=True))


def test_logits_do_not_depend_on_the_size_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    bank, test = blobs(40, 0), blobs(30, 1)
    probes = [LinearProbe(epochs=2, normalise=True), LinearProbe(epochs=2, batch_norm=True, lr=0.1)]
    whole = [probe.fit(bank, test).logits for probe in probes]
    monkeypatch.setattr(scaling, 'BLOCK', 7 * 8)
    for probe, expected in zip(probes, whole, strict=True):
        torch.testing.assert_close(probe.fit(bank, test).logits, expected)


def test_learning_rate_falls_after_the_milestone(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = []
    monkeypatch.setattr(
        LinearClassifier, 'step', lambda self, x, labels, rate: rates.append(round(rate, 6)) or torch.zeros(())
    )
    LinearProbe().fit(blobs(10, 0), blobs(10, 1))
    assert rates == [3.0] * 60 + [0.3] * 40


def test_normalise_is_blind_to_the_length_of_a_feature() -> None:
    bank, test = blobs(20, 0), blobs(10, 1)
    longer = Features(bank.x * 7, bank.labels, bank.subjects, bank.names)
    plain, scaled = (LinearProbe(epochs=2, normalise=True).fit(f, test).logits for f in (bank, longer))
    torch.testing.assert_close(plain, scaled)


def test_divergence_is_reported_with_the_cure() -> None:
    bank = blobs(10, 0)
    bank.x *= 1e30
    with pytest.raises(NonFiniteError, match=r'lr=3.*normalise=True'):
        LinearProbe(epochs=2).fit(bank, bank)


@pytest.mark.parametrize('wrong', [{'epochs': 0}, {'batch_size': 0}, {'probe_seeds': 0}])
def test_settings_without_meaning_are_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=f'{next(iter(wrong))}=0'):
        LinearProbe(**wrong)
    with pytest.raises(ConfigError, match='batch_norm needs a batch_size of at least 2'):
        LinearProbe(batch_norm=True, batch_size=1)
    with pytest.raises(ConfigError, match="unknown schedule='cos'; choose 'steps' or 'cosine'"):
        LinearProbe(schedule='cos')


def test_the_outcome_holds_logits_curves_and_held_out_clips() -> None:
    bank, test = blobs(40, 0, noise=2.0), blobs(30, 1, noise=2.0)
    probe = LinearProbe(epochs=6)
    result, fit = probe.evaluate(bank, test), probe.fit(bank, test)
    assert result.metrics == probe(bank, test)
    assert torch.equal(result.test.scores, fit.logits) and result.test.names == test.names
    assert result.curves['loss'] == fit.losses and result.curves['top1'] == fit.top1
    held = result.heldout
    correct = 100 * (held.scores.argmax(1) == held.labels).double().mean().item()
    assert correct == result.curves['heldout_top1'][-1] and set(held.names) < set(bank.names)


def test_unknown_subjects_leave_a_note() -> None:
    bank = blobs(10, 0)
    bank.subjects[:] = -1
    result = LinearProbe(epochs=1).evaluate(bank, blobs(10, 1))
    assert result.heldout is None and 'top1_heldout' not in result.metrics
    assert 'unknown' in result.notes['top1_heldout']


@pytest.mark.parametrize(('lr', 'warns'), [(300.0, True), (0.1, False)])
def test_a_fit_whose_loss_rises_warns_in_one_line_with_the_cure(monkeypatch: pytest.MonkeyPatch, lr, warns) -> None:
    """Kind N1: a fit that diverges. Its loss rose from 1.8 to 76 without a word, and its accuracy was recorded."""
    lines: list[str] = []
    monkeypatch.setattr(linear_probe, 'print_log', lambda text, *_: lines.append(text))
    x = 5 * torch.randn(25, 16, generator=torch.Generator().manual_seed(0))
    few = Features(x, torch.arange(25) % 5, torch.full((25,), -1), [f'clip{i}' for i in range(25)])
    result = LinearProbe(lr=lr, epochs=20).evaluate(few, few)
    assert len(lines) == warns and (max(result.curves['loss']) > 10) == warns
    if warns:
        assert 'on 25 clips rose from 1.' in lines[0] and 'lower LinearProbe.lr=300 or set normalise=True' in lines[0]
        assert '\n' not in lines[0]
