"""The section on scaling; compare what is done per second, not the ratios: the rows differ in their work."""

from collections.abc import Iterator
from dataclasses import replace

from skeattn.benchmark.evaluating import knn
from skeattn.benchmark.rounds import Group
from skeattn.benchmark.setting import Setting
from skeattn.benchmark.training import our_step


def scaling(setting: Setting) -> Iterator[Group]:
    """SkeAttnCLR's step in the fastest precision over batch, frames and width; KNN over clips."""
    width, batch, frames = setting.widths[0], setting.batch, setting.frames
    *_, amp = setting.precisions.values()
    axes = {
        'batch': [(replace(setting, batch=B), width, f'batch {B}') for B in (batch, 2 * batch, 4 * batch)],
        'frames': [(replace(setting, frames=T), width, f'{T} frames') for T in (frames // 2, frames, 2 * frames)],
        'width': [(setting, w, f'width {w}') for w in (width, 2 * width, 4 * width)],
    }
    for axis, points in axes.items():
        yield Group(axis, [our_step('SkeAttnCLR', w, at, amp, name) for at, w, name in points])
    sizes = [setting.bank // 2, setting.bank, 2 * setting.bank]
    groups = [group for size in sizes for group in knn(replace(setting, bank=size))]
    ours = [replace(group.variants[-1], name=group.title) for group in groups]
    yield Group('clips in the bank', ours, unit='queries')
