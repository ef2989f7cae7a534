"""Runs that take a moment: no training, but the same folders, locks, logs and records."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from skeattn.experiments.execute import execute
from skeattn.experiments.run import TRAINED, Run

# Counts how often it was carried out, then writes the record all at once, as test.py does.
CODE = """
import json, os, sys, time
folder, seconds, status = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
with open(folder + '/carried_out', 'a') as file:
    file.write('x')
print('hello from', folder)
time.sleep(seconds)
if status:
    sys.exit('the end of the log')
with open(folder + '/.tmp', 'w') as file:
    where = {'threads': int(os.environ['OMP_NUM_THREADS']), 'hardware': os.environ.get('CUDA_VISIBLE_DEVICES')}
    about = {'version': 1, 'name': 'any', 'data': 'set', 'split': 'xsub', 'stream': 'joint', 'seed': 0}
    json.dump({**about, **where, 'sources': {}}, file)
os.rename(folder + '/.tmp', sys.argv[4])
"""


@dataclass(frozen=True)
class Fake(Run):
    """A run of two steps that ends with ``status``, by default after a tenth of a second."""

    config: str = 'none'
    seconds: float = 0.1
    status: int = 0

    training: str = ''

    @property
    def evaluation_id(self) -> str:
        return self.name

    @property
    def description(self) -> str:
        return f'{self.name}: a stand-in'

    def folder(self, root: Path) -> Path:
        """Stand-ins of one training share it."""
        return root / (self.training or self.name)

    def steps(self, root: Path) -> Iterator[tuple[str, list[str]]]:
        yield 'trained', [sys.executable, '-c', 'print("training")']
        (self.folder(root) / TRAINED).touch()
        arguments = [str(self.folder(root)), str(self.seconds), str(self.status), str(self.path(root))]
        yield 'evaluated', [sys.executable, '-c', CODE, *arguments]


def fakes(count: int, **options: float) -> list[Fake]:
    return [Fake(f'fake{i}', **options) for i in range(count)]


def carried_out(run: Run, root: Path) -> int:
    """How often."""
    file = run.folder(root) / 'carried_out'
    return len(file.read_text()) if file.exists() else 0


if __name__ == '__main__':
    sys.exit(len(execute(fakes(int(sys.argv[2]), seconds=float(sys.argv[3])), Path(sys.argv[1]), jobs=2)))
