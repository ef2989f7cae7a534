"""A run: its identity, its folder and its commands."""

import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mmengine.config import Config

from skeattn.cli import as_argument
from skeattn.datasets import open_sets, split
from skeattn.datasets.union import digest_of, in_words
from skeattn.engine.config import OrderedConfig, read_config, resolve_config
from skeattn.experiments.options import FROZEN
from skeattn.files import write_text
from skeattn.models.readout import MEAN
from skeattn.protocols.settings import read_protocol
from skeattn.results.record import Record, read
from skeattn.toolbox import TOOLS

TRAINED = 'trained'
"""State of a finished training, and the file that marks it."""
LOG_INTERVAL = {'default_hooks.logger.interval': 10}
"""Training steps between lines of the log, frequent enough to estimate the time left."""
_ONLY_EVALUATION = re.compile('evaluation|protocols|(val|test)_(cfg|dataloader|evaluator)')


@dataclass(frozen=True)
class Run:
    """A config with overrides and a seed, trained and evaluated once.

    Runs that differ only in their evaluation share one folder and the training in it.

    Args:
        name: of the method, or of the row in a table.
        config: the config file.
        seed: of training and of the protocols.
        options: overrides by dotted key.
        trained: False evaluates the network before training.
        sources: features to evaluate; by default those of the method.
        protocols: names of protocols, see :mod:`skeattn.protocols.settings`.
        about: distinguishes runs of the same name in messages, such as the stream.
        start: the run whose weights this one starts from (STARS after MAMP), instead of ``load_from``.

    Raises:
        ConfigError: the config is wrong.
        DataError: its data set is missing.
    """

    name: str
    config: str
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    trained: bool = True
    sources: tuple[str, ...] = ()
    protocols: tuple[str, ...] = FROZEN
    about: str = field(default='', compare=False)
    start: 'Run | None' = None

    def __str__(self) -> str:
        return ' '.join(filter(None, [self.name, self.about, f'seed {self.seed}']))

    @property
    def description(self) -> str:
        """One line: method, stream, data, seed, config and overrides."""
        stream, dataset = self.written.stream, self.written.dataset
        streams = stream if isinstance(stream, str) else ', '.join(stream)
        options = ''.join(f' {as_argument(key, value)}' for key, value in self.options.items())
        return (
            f'{self.name}: stream {streams}, {in_words(dataset.data)} {in_words(dataset.split)}, '
            f'seed {self.seed}, {self.config}{options}'
        )

    @cached_property
    def written(self) -> OrderedConfig:
        """The config with its overrides and its seed, not resolved."""
        return read_config(self.config, {**self.options, 'seed': self.seed})

    @cached_property
    def cfg(self) -> Config:
        """The resolved config."""
        return resolve_config(self.written)

    @cached_property
    def iterations(self) -> int:
        """Total number of training steps."""
        return count_iterations(self.cfg)

    @cached_property
    def digest(self) -> str:
        """Identity of the training: everything that determines its weights, except the code."""
        values = {
            key: value for key, value in sorted(self.cfg.to_dict().items()) if not _ONLY_EVALUATION.fullmatch(key)
        }
        if 'train_cfg' in values:
            values['train_cfg'] = {key: value for key, value in values['train_cfg'].items() if key != 'val_interval'}
        values.pop('amp', None)  # the precision is that of optim_wrapper
        if 'env_cfg' in values:
            values['env_cfg'] = {key: value for key, value in values['env_cfg'].items() if key != 'cudnn_benchmark'}
        backends = values.get('visualizer', {}).get('vis_backends')
        if isinstance(backends, Mapping):  # named later than the first runs
            values['visualizer'] = {**values['visualizer'], 'vis_backends': [*backends.values()]}
        values['dataset'] = _as_before(values['dataset'])
        if 'train_dataloader' in values:
            values['train_dataloader']['dataset'] = _as_before(values['train_dataloader']['dataset'])
        start = [self.start.digest] if self.start else []
        return _digest(values, digest_of(self.cfg.dataset.data), self.trained, *start)

    @cached_property
    def evaluation_id(self) -> str:
        """Identity of the evaluation of the weights, and name of the record."""
        settings = {name: read_protocol(name, self.cfg) for name in self.protocols}
        evaluation = self.cfg.get('evaluation') or {}
        source, readout = evaluation.get('source'), evaluation.get('readout') or MEAN
        named = [readout] if readout != MEAN else []
        # Unless stated, the precision is that of the training, which is part of its identity.
        precision = [f'autocast={evaluation["autocast"]}'] if evaluation.get('autocast') is not None else []
        digest = _digest(settings, source, self.sources, *named, *precision)[:8]
        return '-'.join(['_'.join(self.protocols), *named, digest])

    def folder(self, root: Path) -> Path:
        """Folder of its logs, checkpoints and records."""
        untrained = '' if self.trained else 'untrained_'
        return root / f'{untrained}{self.cfg.model.type}-seed{self.seed}-{self.digest[:8]}'

    def path(self, root: Path) -> Path:
        """The file of the record."""
        return self.folder(root) / f'{self.evaluation_id}.json'

    def ready(self, root: Path) -> bool:
        """Whether it can be trained: the run that it starts from is."""
        return self.start is None or not self.trained or (self.start.folder(root) / TRAINED).exists()

    def record(self, root: Path) -> Record | None:
        """The record, with the name of this run; None until the run is finished."""
        path = self.path(root)
        return replace(read(path), name=self.name) if path.is_file() else None

    def steps(self, root: Path) -> Iterator[tuple[str, list[str]]]:
        """``(state afterwards, command)`` of each step in order; an interrupted command continues when repeated.

        The commands read copies of the config in the folder, so that editing the config does not change a started run.
        """
        folder, record = self.folder(root), self.path(root)
        config = folder / 'config' / Path(self.config).name
        if self.trained and not (folder / TRAINED).exists():
            self._write(config)
            start = {'load_from': str(self.start.folder(root))} if self.start else {}
            yield TRAINED, [*train_command(config, folder, {**LOG_INTERVAL, **start}), '--resume']
            write_text(folder / TRAINED, f'{self.digest}\n')
        config = folder / 'config' / record.stem / config.name  # one per evaluation: settings of protocols differ
        self._write(config)
        facts = {'name': self.name, 'config': self.config, 'cfg_options': stated(self.options)}
        yield (
            'evaluated',
            [
                *(sys.executable, str(TOOLS / 'test.py'), str(config), str(folder) if self.trained else 'untrained'),
                *('--protocol', *self.protocols, '--seed', str(self.seed)),
                *('--out', str(record), '--facts', json.dumps(facts)),
                *(f'--source={source}' for source in self.sources),
            ],
        )

    def _write(self, config: Path) -> None:
        config.parent.mkdir(parents=True, exist_ok=True)
        write_text(config, self.written.pretty_text)


def count_iterations(cfg: Config) -> int:
    """Number of training steps of a resolved config.

    Raises:
        DataError: its data set is missing.
    """
    train, _ = split(open_sets(cfg.dataset.data), cfg.dataset.split)
    iterations: int = len(train) // cfg.batch_size * cfg.train_cfg.max_epochs
    return min(iterations, cfg.get('max_iters') or iterations)


def _as_before(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """A data set under the names that its keys had before, so that a run keeps its folder."""
    return {{'split': 'protocol', 'part': 'split'}.get(key, key): value for key, value in dataset.items()}


def stated(options: Mapping[str, Any]) -> dict[str, str]:
    """Overrides as they are recorded."""
    return {key: str(value) for key, value in options.items()}


def _digest(*facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()


def train_command(config: str | Path, work_dir: Path, options: Mapping[str, Any]) -> list[str]:
    """The training command."""
    arguments = [as_argument(key, value) for key, value in options.items()]
    return [
        *(sys.executable, str(TOOLS / 'train.py'), str(config), '--work-dir', str(work_dir)),
        *(('--cfg-options', *arguments) if arguments else ()),
    ]
