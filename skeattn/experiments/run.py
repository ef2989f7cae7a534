"""What a run is, where it lies, and the commands that carry it out."""

import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mmengine.config import Config

import skeattn
from skeattn.engine.checkpoint import write_text
from skeattn.engine.config import OrderedConfig, read_config, resolve_config
from skeattn.evaluation.record import config_facts

TOOLS = Path(skeattn.__file__).resolve().parent.parent / 'tools'
RECORD = 'record.json'
LOG_INTERVAL = {'default_hooks.logger.interval': 10}
"""Training steps between lines of the log: often enough to tell the time left."""


@dataclass(frozen=True)
class Run:
    """A config with overrides and a seed: trained, then judged, once.

    Args:
        name: the method, or whatever a table calls it.
        config: the config file.
        seed: of training and of the linear probe.
        options: overrides by dotted key.
        trained: False judges the network of the config untrained.
        sources: features to judge; default those that the method names.

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

    def __str__(self) -> str:
        return f'{self.name} seed {self.seed}'

    @cached_property
    def written(self) -> OrderedConfig:
        """The config with its overrides and its seed, as somebody could have written it."""
        return read_config(self.config, {**self.options, 'seed': self.seed})

    @cached_property
    def cfg(self) -> Config:
        """The same, resolved."""
        return resolve_config(self.written)

    @cached_property
    def digest(self) -> str:
        """Identity: everything that the numbers follow from, except the code."""
        facts = config_facts(self.cfg)
        identity = [facts['config_sha256'], facts['manifest_sha256'], self.trained, self.sources]
        return hashlib.sha256(json.dumps(identity).encode()).hexdigest()

    def folder(self, root: Path) -> Path:
        """Where logs, checkpoints and the record lie."""
        return root / f'{re.sub(r"[^A-Za-z0-9]+", "_", self.name)}-seed{self.seed}-{self.digest[:8]}'

    def record(self, root: Path) -> dict[str, Any] | None:
        """The record; None until the run is finished."""
        path = self.folder(root) / RECORD
        return json.loads(path.read_text()) if path.is_file() else None

    def steps(self, root: Path) -> Iterator[tuple[str, list[str]]]:
        """``(what is done, command)``, one after the other; an interrupted command goes on where it was.

        They read a copy of the config in the folder, so that a run does not change with a config edited meanwhile.
        """
        folder = self.folder(root)
        config = folder / 'config' / Path(self.config).name
        config.parent.mkdir(parents=True, exist_ok=True)
        write_text(config, self.written.pretty_text)
        if self.trained:
            yield 'trained', [*train_command(config, folder, LOG_INTERVAL), '--resume']
        facts = {'name': self.name, 'config': self.config, 'cfg_options': {k: str(v) for k, v in self.options.items()}}
        yield (
            'judged',
            [
                *(sys.executable, str(TOOLS / 'test.py'), str(config), str(folder) if self.trained else 'untrained'),
                *('--seed', str(self.seed), '--out', str(folder / RECORD), '--facts', json.dumps(facts)),
                *(f'--source={source}' for source in self.sources),
            ],
        )


def train_command(config: str | Path, work_dir: Path, options: Mapping[str, Any]) -> list[str]:
    """The command that trains, with overrides that the command line can express."""
    arguments = [f'{key}={value}' for key, value in options.items()]
    return [
        *(sys.executable, str(TOOLS / 'train.py'), str(config), '--work-dir', str(work_dir)),
        *(('--cfg-options', *arguments) if arguments else ()),
    ]
