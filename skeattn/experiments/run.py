"""What a run is, where it lies, and the commands that carry it out."""

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

import skeattn
from skeattn.cli import as_argument
from skeattn.datasets import PackedSet, split
from skeattn.engine.config import OrderedConfig, read_config, resolve_config
from skeattn.files import sha256, write_text
from skeattn.protocols.settings import read_protocol
from skeattn.results.record import Record, read

TOOLS = Path(skeattn.__file__).resolve().parent.parent / 'tools'
RUNS = Path('work_dirs/runs')
"""Where runs lie unless somebody says otherwise: one training serves every table that needs it."""
FROZEN = ('knn', 'linear')
"""Protocols on frozen features, cheap enough to go together."""
TRAINED = 'trained'
"""What a training is when it is done, and the file that says so."""
LOG_INTERVAL = {'default_hooks.logger.interval': 10}
"""Training steps between lines of the log: often enough to tell the time left."""
_ONLY_EVALUATION = re.compile('evaluation|protocols|(val|test)_(cfg|dataloader|evaluator)')


@dataclass(frozen=True)
class Run:
    """A config with overrides and a seed: trained, then judged, once.

    Runs that differ only in how they are judged share one folder, and the training in it.

    Args:
        name: the method, or whatever a table calls it.
        config: the config file.
        seed: of training and of the protocols.
        options: overrides by dotted key.
        trained: False judges the network of the config untrained.
        sources: features to judge; default those that the method names.
        protocols: how it is judged, see ``configs/_base_/protocols``.
        about: what tells it apart in messages from others of that name, such as the stream.

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

    def __str__(self) -> str:
        return ' '.join(filter(None, [self.name, self.about, f'seed {self.seed}']))

    @property
    def description(self) -> str:
        """One line: method, stream, data, seed, config and overrides."""
        stream, dataset = self.written.stream, self.written.dataset
        streams = stream if isinstance(stream, str) else ', '.join(stream)
        options = ''.join(f' {as_argument(key, value)}' for key, value in self.options.items())
        return (
            f'{self.name}: stream {streams}, {dataset.data} {dataset.split}, seed {self.seed}, {self.config}{options}'
        )

    @cached_property
    def written(self) -> OrderedConfig:
        """The config with its overrides and its seed, as somebody could have written it."""
        return read_config(self.config, {**self.options, 'seed': self.seed})

    @cached_property
    def cfg(self) -> Config:
        """The same, resolved."""
        return resolve_config(self.written)

    @cached_property
    def iterations(self) -> int:
        """Training steps in all."""
        return count_iterations(self.cfg)

    @cached_property
    def digest(self) -> str:
        """Identity of the training: everything that its weights follow from, except the code."""
        values = {
            key: value for key, value in sorted(self.cfg.to_dict().items()) if not _ONLY_EVALUATION.fullmatch(key)
        }
        if 'train_cfg' in values:
            values['train_cfg'] = {key: value for key, value in values['train_cfg'].items() if key != 'val_interval'}
        values['dataset'] = _as_before(values['dataset'])
        if 'train_dataloader' in values:
            values['train_dataloader']['dataset'] = _as_before(values['train_dataloader']['dataset'])
        return _digest(values, sha256(Path(self.cfg.dataset.data) / 'manifest.json'), self.trained)

    @cached_property
    def evaluation_id(self) -> str:
        """Identity of the evaluation of the weights: name of the record."""
        settings = {name: read_protocol(name, self.cfg) for name in self.protocols}
        source = (self.cfg.get('evaluation') or {}).get('source')
        return f'{"_".join(self.protocols)}-{_digest(settings, source, self.sources)[:8]}'

    def folder(self, root: Path) -> Path:
        """Where logs, checkpoints and records lie."""
        untrained = '' if self.trained else 'untrained_'
        return root / f'{untrained}{self.cfg.model.type}-seed{self.seed}-{self.digest[:8]}'

    def path(self, root: Path) -> Path:
        """The file of the record."""
        return self.folder(root) / f'{self.evaluation_id}.json'

    def record(self, root: Path) -> Record | None:
        """The record, under the name of this run; None until it is finished."""
        path = self.path(root)
        return replace(read(path), name=self.name) if path.is_file() else None

    def steps(self, root: Path) -> Iterator[tuple[str, list[str]]]:
        """``(what is done, command)``, one after the other; an interrupted command goes on where it was.

        They read copies of the config in the folder, so that a run does not change with a config edited meanwhile.
        """
        folder, record = self.folder(root), self.path(root)
        config = folder / 'config' / Path(self.config).name
        if self.trained and not (folder / TRAINED).exists():
            self._write(config)
            yield TRAINED, [*train_command(config, folder, LOG_INTERVAL), '--resume']
            write_text(folder / TRAINED, f'{self.digest}\n')
        config = folder / 'config' / record.stem / config.name  # other settings of the protocols, other files
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
    """Training steps that a resolved config asks for.

    Raises:
        DataError: its data set is missing.
    """
    train, _ = split(PackedSet.open(cfg.dataset.data), cfg.dataset.split)
    iterations: int = len(train) // cfg.batch_size * cfg.train_cfg.max_epochs
    return min(iterations, cfg.get('max_iters') or iterations)


def _as_before(dataset: Mapping[str, Any]) -> dict[str, Any]:
    """A data set under the names that its keys had before, so that a run keeps its folder."""
    return {{'split': 'protocol', 'part': 'split'}.get(key, key): value for key, value in dataset.items()}


def stated(options: Mapping[str, Any]) -> dict[str, str]:
    """Overrides as records state them."""
    return {key: str(value) for key, value in options.items()}


def _digest(*facts: Any) -> str:
    return hashlib.sha256(json.dumps(facts, default=str).encode()).hexdigest()


def train_command(config: str | Path, work_dir: Path, options: Mapping[str, Any]) -> list[str]:
    """The command that trains, with overrides that the command line can express."""
    arguments = [as_argument(key, value) for key, value in options.items()]
    return [
        *(sys.executable, str(TOOLS / 'train.py'), str(config), '--work-dir', str(work_dir)),
        *(('--cfg-options', *arguments) if arguments else ()),
    ]
