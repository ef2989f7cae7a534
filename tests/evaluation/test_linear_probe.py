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
from skeattn.evaluation import Features, LinearProbe, linear_probe
from skeattn.evaluation.features import frozen
from skeattn.evaluation.linear_probe import probe_step
from skeattn.evaluation.metrics import accuracy
from skeattn.models.encoder import Encoder
from skeattn.models.heads import LinearHead
from skeattn.protocols.settings import build_protocol, read_protocol
from skeattn.registry import EVALUATORS, HEADS
from tests.engine.toy import tool, toy_config
from tests.evaluation.standins import blobs
from tests.fidelity.golden import Golden, assert_close, to_model


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
    classes, dim = start[f'{prefix}fc.weight'].shape
    encoder = Encoder({'type': 'STGCN', 'layout': 'ntu25', 'base_channels': 4, 'out_channels': dim}, {'type': 'MLP'})
    state = {name: value for name, value in golden.converted('state0').items() if name.startswith(prefix)}
    encoder.double().backbone.load_state_dict({name.removeprefix(prefix): value for name, value in state.items()})
    encoder.backbone.A.copy_(start[f'{prefix}A'])  # the golden run's adjacency is not rounded to single precision
    head = LinearHead(dim, classes).double()
    head.load_state_dict({f'fc.{name}': start[f'{prefix}fc.{name}'] for name in ('weight', 'bias')})
    optimizer = torch.optim.SGD(head.parameters(), settings['base_lr'], momentum=settings['sgd_momentum'])
    for step in ('step1', 'step2'):
        with frozen(encoder):
            x = encoder.map(to_model(golden[f'{step}/x'])).pool()
        assert_close(head(x), golden[f'{step}/logits'], f'{step} logits')
        loss = probe_step(head, optimizer, x, golden[f'{step}/label'].long())
        assert_close(loss, golden[f'{step}/loss_total'], f'{step} loss')
        grad, after = golden.packed(f'{step}/grad'), golden.packed(f'{step}/state')
        for name, parameter in head.fc.named_parameters():
            assert_close(parameter.grad, grad[f'{prefix}fc.{name}'], f'{step} gradient of {name}')
            assert_close(parameter, after[f'{prefix}fc.{name}'], f'{step} {name}')


def test_mamp_linear_probe_equals_the_released_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Head, order of the clips, losses, gradients, learning rates, running statistics and logits of five epochs."""
    golden = Golden('mamp_linear_probe')
    settings, start, order = golden.meta, golden.packed('state0'), golden['order'].long()
    weights = {name: value for name, value in start.items() if name.startswith('fc.1.')}

    def load(head: LinearHead, generator: torch.Generator) -> None:
        head.double().fc.load_state_dict({name.removeprefix('fc.1.'): value for name, value in weights.items()})

    steps: list[tuple[float, float]] = []
    states: list[dict[str, torch.Tensor]] = []
    gradients: list[list[torch.Tensor]] = []

    def step(head: nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        loss = probe_step(head, optimizer, x, labels)
        gradients.append([parameter.grad.clone() for parameter in head.parameters()])
        steps.append((optimizer.param_groups[0]['lr'], loss.item()))
        states.append({name: value.clone() for name, value in head.state_dict().items()})
        return loss

    logits: list[torch.Tensor] = []

    def keep(scores: torch.Tensor, labels: torch.Tensor, k: int = 1) -> float:
        logits.append(scores.clone())
        return accuracy(scores, labels, k)

    epochs = iter(order)
    monkeypatch.setattr(LinearHead, 'init_weights', load)
    monkeypatch.setattr(linear_probe, 'probe_step', step)
    monkeypatch.setattr(linear_probe, 'accuracy', keep)
    monkeypatch.setattr(LinearProbe, 'batches', lambda probe, N, generator: list(next(epochs)))
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
    for ours, name in zip(gradients[0], ('fc.1.weight', 'fc.1.bias'), strict=True):
        assert_close(ours, expected[name], f'first gradient of {name}')
    for epoch in range(5):
        after = {name.rpartition('.')[2]: value for name, value in states[5 * epoch + 4].items()}
        for name in ('weight', 'bias', 'running_mean', 'running_var'):
            assert_close(after[name], golden[name][epoch], f'{name} after epoch {epoch}')


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


@pytest.mark.parametrize('streams', [1, 3])
@pytest.mark.parametrize('normalise', [False, True])
def test_the_heads_of_all_streams_learn_together_from_the_mean_of_their_logits(streams: int, normalise: bool) -> None:
    bank, test = (replace(blobs(40, seed, dim=12, noise=2.0), num_streams=streams) for seed in (0, 1))
    probe = LinearProbe(epochs=4, milestones=(2,), weight_decay=0.01, batch_size=32, normalise=normalise, seed=5)
    trained = probe.fit(bank, test).logits

    width, generator = 12 // streams, torch.Generator().manual_seed(5)
    heads = [nn.Linear(width, 3) for _ in range(streams)]
    for head in heads:
        nn.init.normal_(head.weight, std=0.02, generator=generator)
        nn.init.zeros_(head.bias)

    def logits(x: torch.Tensor) -> torch.Tensor:
        parts = [x[:, i * width : (i + 1) * width] for i in range(streams)]
        parts = [part / part.norm(dim=1, keepdim=True) if normalise else part for part in parts]
        return sum(head(part) for head, part in zip(heads, parts, strict=True)) / streams

    optimizer = torch.optim.SGD([p for head in heads for p in head.parameters()], 3.0, 0.9, weight_decay=0.01)
    for epoch in range(4):
        optimizer.param_groups[0]['lr'] = 3.0 if epoch < 2 else 0.3
        for batch in torch.randperm(120, generator=generator)[:96].split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(logits(bank.x[batch]), bank.labels[batch]).backward()
            optimizer.step()
    torch.testing.assert_close(trained, logits(test.x).detach(), rtol=1e-4, atol=1e-4)


def test_one_stream_learns_as_one_head_to_the_last_bit() -> None:
    bank, test = blobs(40, 0, noise=2.0), blobs(30, 1, noise=2.0)
    probe = LinearProbe(epochs=2, batch_size=32, seed=5)
    generator = torch.Generator().manual_seed(5)
    head = LinearHead(8, 3, generator=generator)
    optimizer = torch.optim.SGD(head.parameters(), 3.0, momentum=0.9, foreach=True)
    for _ in range(2):
        for batch in probe.batches(len(bank), generator):
            probe_step(head, optimizer, bank.x[batch], bank.labels[batch])
    assert torch.equal(probe.fit(bank, test).logits, head(test.x))


def test_learning_rate_falls_after_the_milestone(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = []

    def record(
        head: torch.nn.Module, optimizer: torch.optim.Optimizer, x: torch.Tensor, labels: torch.Tensor
    ) -> torch.Tensor:
        rates.append(round(optimizer.param_groups[0]['lr'], 6))
        optimizer.step()
        return torch.zeros(())

    monkeypatch.setattr('skeattn.evaluation.linear_probe.probe_step', record)
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
