"""Rounds, counts and ceilings: what is computed from times, never the times themselves."""

import numpy as np
import pytest
import torch

from skeattn.benchmark.ceilings import ceilings
from skeattn.benchmark.evaluating import extraction
from skeattn.benchmark.rounds import Clock, Group, Variant, measure_group
from skeattn.benchmark.setting import TINY, Clips, Setting, method_config, pasted
from skeattn.benchmark.work import Work, count, peak_memory

CPU = torch.device('cpu')


class Scripted(Clock):
    """Shows prepared times, in the order in which it is read."""

    def __init__(self, *times):
        super().__init__('cpu')
        self.times, self.calls = list(times), []

    def seconds(self, run):
        self.calls.append(run())
        return self.times.pop(0)


@pytest.mark.slow
def test_variants_take_turns_and_ratios_are_those_of_a_round():
    clock = Scripted(4, 1, 6, 3, 8, 2)
    group = Group('title', [Variant('slow', lambda: 'slow', 10), Variant('fast', lambda: 'fast', 10)], unit='things')
    slow, fast = measure_group(group, 3, clock)
    assert clock.calls == ['slow', 'fast'] * 3
    assert (slow['median_ms'], fast['median_ms'], fast['low_ms'], fast['high_ms']) == (6000, 2000, 1500, 2500)
    assert slow['ratio'] == slow['ratio_low'] == slow['ratio_high'] == 1
    assert (fast['ratio_low'], fast['ratio'], fast['ratio_high']) == (3, 4, 4)  # of 4, 2, 4
    assert (slow['per_second'], fast['per_second'], fast['unit']) == (10 / 6, 5, 'things')


@pytest.mark.slow
def test_rates_follow_from_counts():
    a, b = torch.ones(3, 5), torch.ones(5, 7)
    group = Group('', [Variant('counted', lambda: a @ b, 1), Variant('told', lambda: a @ b, 1, moved=8, counted=False)])
    counted, told = measure_group(group, 1, Scripted(2, 2))
    assert counted['gflops'] == pytest.approx(2 * 3 * 5 * 7 / 2e9)
    assert counted['gbytes'] == pytest.approx(4 * (15 + 35 + 21) / 2e9) and counted['operations'] == 1
    assert told['gbytes'] == 4e-9 and not {'gflops', 'operations'} & told.keys()


def test_operations_are_counted_and_views_are_not():
    x = torch.ones(4, 6)
    assert count(lambda: x.T.reshape(24)[:2].detach()) == Work(0, 2 * 4 * 24, 1)  # the copy of reshape
    assert count(lambda: x.add_(1)).moved == 2 * 4 * 24
    broadcast = torch.ones(1).expand(100)
    assert count(lambda: broadcast + 1).moved == 4 + 400
    model, y = torch.nn.Linear(6, 2), torch.ones(4, 6)
    assert count(lambda: model(y).sum().backward()).flops == 2 * 2 * 4 * 6 * 2  # forward, gradient of the weight


@pytest.mark.slow
def test_peak_memory_is_what_a_call_needs_at_once():
    size = 2**26

    def run():
        for _ in range(3):
            torch.ones(size // 4)

    peak = peak_memory(run, CPU)
    # 0: not Linux; an allocator may keep one block, but all three were never there at once
    assert peak == 0 or 0.9 * size < peak < 2.5 * size


def test_clock_reads_what_fits():
    assert Clock('cpu').name == 'CPU seconds of the process'
    assert Clock('cpu', threads=2).name == 'seconds on the wall'
    assert Clock('cuda').name == 'CUDA events'
    assert Clock('cpu').seconds(lambda: sum(range(1000))) > 0


def test_ceilings_are_the_best_calls_without_the_first():
    times = [9, 4, 2, 4, 4, 9, 8, 8, 8, 8, 1, 3, 3, 3, 3, 1, 5, 5, 5, 6, 0.1, 1, 1, 1, 1]
    convolution = 2 * 16 * 16 * 25 * 9 * 2**2
    assert ceilings(Scripted(*times), 10, 400) == {
        'matmul_float32': pytest.approx(2e3 / 2 / 1e9),
        'matmul_bfloat16': pytest.approx(2e3 / 8 / 1e9),
        'convolution_float32': pytest.approx(convolution / 3 / 1e9),
        'convolution_bfloat16': pytest.approx(convolution / 5 / 1e9),
        'copy': pytest.approx(800 / 1e9),
    }


def test_random_clips_have_absent_persons():
    data = Clips(200, 8)
    present = (data.clips != 0).flatten(1, 3).any(dim=1)
    assert data.clips.shape == (200, 3, 8, 25, 2) and present[:, 0].all() and 0.2 < present[:, 1].double().mean() < 0.4
    batch = data.__getitems__([3, 1])
    assert torch.equal(batch['inputs'], data.clips[[3, 1]]) and np.shares_memory(data.array, data.clips.numpy())
    assert set(Clips(2, 8, native=True).__getitems__([0])) >= {'native', 'frames'}


def test_the_mixed_piece_is_the_papers_at_64_frames_and_fits_others():
    assert pasted(Setting()) == (4, 7) and pasted(Setting(frames=32)) == (2, 4) and pasted(Setting(frames=8)) == (1, 1)
    cfg = method_config('SkeAttnCLR', Setting(**TINY), width=3)
    assert cfg.model.backbone.base_channels == 3 and cfg.model.queue.size == TINY['queue']


@pytest.mark.parametrize('fast', [True, False])
def test_bfloat16_is_measured_where_the_device_has_it(monkeypatch: pytest.MonkeyPatch, fast: bool) -> None:
    monkeypatch.setattr('skeattn.benchmark.setting.cpu_bfloat16', lambda: fast)
    monkeypatch.setattr('skeattn.benchmark.setting.gpu_bfloat16', lambda: not fast)
    both, single = {'float32': False, 'bfloat16': True}, {'float32': False}
    assert Setting().precisions == (both if fast else single)
    assert Setting(device='cuda:1').precisions == (single if fast else both)
    (group,) = extraction(Setting(**TINY))
    assert [variant.name for variant in group.variants] == [
        f'{whose} {precision}' for whose in ('reference', 'ours') for precision in (both if fast else single)
    ]
