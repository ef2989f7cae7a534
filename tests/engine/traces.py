"""Losses of a hundred steps in double precision, where another processor moves them by less than a real change does.

``python -m tests.engine.traces`` writes them again, after a change that is meant to move them.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook

from tests.engine.runs import logged
from tests.engine.toy import toy_runner

FILE = Path(__file__).with_name('traces.json')
STEPS = 100
CASES: dict[str, dict[str, Any]] = {
    'skeattnclr': dict(model='skeattnclr'),
    'skeattnclr, accumulated': dict(model='skeattnclr', optim_wrapper__accumulative_counts=2),
    'skeattnclr, matched': dict(model='skeattnclr', model__negatives='matched'),
    'skeletonclr': dict(model='skeletonclr'),
    'aimclr': dict(model='aimclr'),
    'hiclr': dict(model='hiclr'),
    'skelemixclr': dict(model='skelemixclr'),
    'crossclr': dict(model='crossclr'),
}


class DoublePrecision(Hook):
    """Clips in double precision."""

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        data_batch['inputs'] = data_batch['inputs'].double()


def trace(case: str, folder: Path) -> list[float]:
    """The loss of every step of a toy training."""
    options = {
        'max_iters': STEPS, 'train_cfg__max_epochs': STEPS, 'evaluation': None, 'model__backbone__dropout': 0.0,
        'default_hooks__checkpoint': dict(interval=STEPS, save_best=None), 'log_processor__window_size': 1,
    }  # fmt: skip
    runner = toy_runner(folder, **options, **CASES[case])
    runner.model.double()
    runner.register_hook(DoublePrecision(), priority='HIGHEST')
    runner.train()
    return [line['loss'] for line in logged(folder / 'run')]


def main() -> None:
    """Write the file."""
    with tempfile.TemporaryDirectory() as place:
        found = {}
        for number, case in enumerate(CASES):
            (folder := Path(place) / str(number)).mkdir()
            found[case] = trace(case, folder)
            print(case, found[case][:2], found[case][-1])
    FILE.write_text(json.dumps(found, indent=1) + '\n')


if __name__ == '__main__':
    main()
