"""Everything that a training leaves, compared with what another one has left."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from skeattn.checkpoint import LAST, read_checkpoint

STATE = ('state_dict', 'optimizer', 'param_schedulers', 'message_hub', 'pending', 'unfinished')
"""Parts of a checkpoint: weights, key encoder and queue; momentum; schedules; histories and curves."""
OF_THE_CLOCK = ('time', 'data_time', 'memory')
PRESENT = ('cfg', 'experiment_name', 'eta', 'epoch', 'iter')
"""Facts of the message hub that name a run, come from the clock, or are set again in every iteration."""


def differences(run: Path, whole: Path) -> list[str]:
    """What a finished training has left otherwise than an uninterrupted one, in a few words each; empty if nothing.

    Args:
        run, whole: their work_dirs.
    """
    found = [f'{where} differs' for where, one, other in _pairs(run, whole) if not same(one, other)]
    logged, expected = logged_values(run), logged_values(whole)
    lines = [line for line in logged if logged[line] != expected.get(line)] + [k for k in expected if k not in logged]
    found += [f'curves differ in {len(lines)} lines, first {lines[0]}'] if lines else []
    extra = {path.name for path in run.iterdir() if path.is_file()} ^ {p.name for p in whole.iterdir() if p.is_file()}
    names = sorted(name for name in extra if not name.startswith('epoch_'))  # which of them are kept differs
    return found + ([f'files: {", ".join(names)}'] if names else [])


def _pairs(run: Path, whole: Path) -> Iterator[tuple[str, Any, Any]]:
    last = (whole / LAST).read_text()
    yield LAST, (run / LAST).read_text(), last
    for name in {last, *(path.name for path in whole.glob('best_*.pth'))}:
        state, expected = _state(run / name), _state(whole / name)
        for part in expected:
            yield f'{part} of {name}', state.get(part), expected[part]
    for name in ('best.json', 'last_evaluation'):
        one, other = ((folder / name).read_text() if (folder / name).exists() else None for folder in (run, whole))
        yield name, one, other


def _state(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    checkpoint = read_checkpoint(path)
    kept = {part: checkpoint[part] for part in STATE if part in checkpoint}
    hub = kept.get('message_hub')
    if hub:
        scalars = {name: item for name, item in hub['log_scalars'].items() if name.split('/')[-1] not in OF_THE_CLOCK}
        facts = {name: value for name, value in hub['runtime_info'].items() if name not in PRESENT}
        kept['message_hub'] = {**hub, 'log_scalars': scalars, 'runtime_info': facts}
    kept['progress'] = {key: checkpoint['meta'].get(key) for key in ('epoch', 'iter', 'metric', 'score')}
    return kept


def logged_values(run: Path) -> dict[tuple[str, int], list[Any]]:
    """(kind, step) -> its distinct logged values; repeated iterations must log the same."""
    values: dict[tuple[str, int], list[Any]] = {}
    for file in sorted(run.glob('*/vis_data/scalars.json')):
        for line in file.read_text(errors='replace').splitlines():
            try:
                entry = json.loads(line)
            except ValueError:  # the process died while it was written
                continue
            kept = {key: value for key, value in entry.items() if key not in OF_THE_CLOCK}
            seen = values.setdefault(('training' if 'iter' in entry else 'evaluation', entry['step']), [])
            if not any(same(kept, earlier) for earlier in seen):
                seen.append(kept)
    return values


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal to the last bit; NaN equals NaN."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        bits = [value.contiguous().numpy().tobytes() for value in (one, other)]
        return one.dtype == other.dtype and one.shape == other.shape and bits[0] == bits[1]
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other):
        return True
    return type(one) is type(other) and bool(one == other)
