"""The page of a given report, and the projection of an epoch."""

import pytest

from skeattn.benchmark.epoch import RandomClips, projection
from skeattn.benchmark.page import page

ROWS = [
    dict(name='reference float32', median_ms=70.0, ratio=1.0, per_second=10.0),
    dict(name='ours bfloat16', median_ms=10.0, ratio=7.0, per_second=70.0),
]
STEPS = [dict(title='SkeAttnCLR, width 64', rows=ROWS)]
FLOOR = dict(floor_ms=8.0, computing_ms=5.0, moving_ms=3.0, flops=6e12, bytes=2e10, operations=2000, times_floor=1.25)
GPU = dict(busy_share=0.955, busy_ms=9.5, wall_ms=10.0, kernels=1500.0)
GPU |= dict(longest=[dict(name='aten::mm: gemm', ms=2.5, calls=30.0)])
GPU |= dict(gaps=[dict(before='copy', after='gemm', ms=0.25, calls=2.0)])
RESULTS = dict(
    tests=dict(passed=60, failed=['test_x[moco]'], skipped={'test_y': 'drawn on the device'}),
    benchmark=dict(clock='CUDA events', rounds=5, setting=dict(batch=128), sections=dict(steps=STEPS)),
    profile=dict(config='c', switches={}, batch=128, precision='bfloat16', step_ms=10.0, **FLOOR, gpu=GPU)
    | dict(dearest=[dict(name='convolution', ms=4.0, calls=50)]),
    epoch=dict(clips=40091, resident=True, batch=128, precision='bfloat16', seconds=10.0, iterations=313)
    | dict(switches={'compile': True})
    | dict(step_ms=30.0, clips_per_second=4267.0, epochs=300, hours=0.78),
    recipes=dict(runs=[dict(state='finished', run='A'), dict(state='to be trained', run='B')], table='| a table |'),
)


def report(device='cuda', tiny=False, **changes):
    subject = dict(commit='0123456789abcdef', changes='', versions=dict(torch='2.13', skeattn='0.2'))
    subject |= dict(hardware='1 x H100', device=device, tiny=tiny)
    stages = {
        name: dict(stage=name, state='finished', seconds=61.0, result=result, note='')
        for name, result in RESULTS.items()
    }
    for name, change in changes.items():
        stages[name] |= change
    return {'subject': subject, 'stages': stages}


def cells(text):
    return [[cell.strip() for cell in line.strip('|').split('|')] for line in text.splitlines() if line.startswith('|')]


def test_the_page_of_a_gpu():
    text = page(report())
    rows = cells(text)
    assert '1 x H100; torch 2.13; 0123456789' in text and 'needs a GPU' not in text
    for row in (
        ['SkeAttnCLR step, times faster than the float32 reference', 'at least 6', '7.00'],
        ['step / floor', 'at most 2', '1.25'],
        ['busy share', 'over 95 %', '95.5 %'],
        ['NTU-60, 300 epochs, projected', 'under 1 h', '0.78 h'],
        ['steps', 'SkeAttnCLR, width 64', 'ours bfloat16', '10', '7.00', '70'],
        ['`aten::mm: gemm`', '2.5', '30'],
        ['`copy`', '`gemm`', '0.25', '2'],
        ['B', 'to be trained'],
    ):
        assert row in rows
    for sentence in (
        '60 passed, 1 failed, 1 skipped',
        'failed: `test_x[moco]`',
        '`test_y`: drawn on the device',
        '1 of 2 runs are finished',
        '40,091 random clips on the accelerator, batch 128, bfloat16, compile=True, with hooks',
        '| a table |',
    ):
        assert sentence in text


def test_the_page_of_a_dry_run_names_what_needs_a_gpu():
    profile = RESULTS['profile'] | {'gpu': None}
    text = page(report('cpu', True, profile={'result': profile}))
    assert all(f'{what}: needs a GPU' in text for what in ('Busy share', 'Longest kernels', 'Dearest gaps'))
    assert 'the numbers say nothing' in text and 'every goal needs a GPU' in text and 'at least 6' not in text


def test_the_page_says_why_a_stage_is_not_finished():
    text = page(
        report(
            benchmark=dict(state='failed', result=None, note='trace\nout of memory'),
            profile=dict(result=RESULTS['profile'] | {'gpu': {}}),
            epoch=dict(state='not started', result=None, note='needs 2 minutes, 1.0 are left'),
        )
    )
    rows = cells(text)
    assert ['benchmark', 'failed', '61', 'out of memory'] in rows and '```\ntrace\nout of memory\n```' in text
    assert ['epoch', 'not started', '61', 'needs 2 minutes, 1.0 are left'] in rows
    assert 'Busy share: the profiler saw no kernels' in text
    assert ['NTU-60, 300 epochs, projected', 'under 1 h', ''] in rows


def test_a_projection_counts_the_slow_beginning_once():
    found = projection(iterations=100, warm=10, first_s=11.0, later_s=9.0, epochs=361)
    assert found == pytest.approx(dict(seconds=20.0, step_ms=100.0, hours=(10 + 3610) / 3600))


def test_random_clips_are_a_data_set():
    data = RandomClips(40, num_frames=8)
    batch = data.__getitems__([3, 5])
    assert batch['inputs'].shape == (2, 3, 8, 25, 2) and batch['labels'].tolist() == [0, 0]
    second = data.clips[..., 1].abs().sum(dim=(1, 2, 3)) > 0
    assert 0 < second.sum() < 40 and (data.clips[..., 0].abs().sum(dim=(1, 2, 3)) > 0).all()
