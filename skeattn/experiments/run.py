"""What a run is, where it lies, and the commands that carry it out."""

import argparse
import hashlib
import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from mmengine.config import DictAction

import skeattn
from skeattn.engine.config import read_config, resolve_config
from skeattn.errors import ConfigError
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
    def cfg(self) -> Any:
        """The resolved config."""
        return resolve_config(read_config(self.config, self.overrides))

    @property
    def overrides(self) -> dict[str, Any]:
        """The options and the seed."""
        return {**self.options, 'seed': self.seed}

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

    def commands(self, root: Path) -> Iterator[list[str]]:
        """What has to be executed, one after the other; an interrupted command goes on where it was."""
        folder = self.folder(root)
        if self.trained:
            yield train_command(self.config, folder, self.overrides, resume=True)
        yield [
            *(sys.executable, str(TOOLS / 'test.py'), self.config, *([str(folder)] if self.trained else [])),
            *('--name', self.name, '--seed', str(self.seed), '--out', str(folder / RECORD)),
            *(('--source', *self.sources) if self.sources else ()),
            *option_arguments(self.overrides),
        ]


def train_command(config: str, work_dir: Path, options: Mapping[str, Any], resume: bool = False) -> list[str]:
    """The command that trains, with a log from which :class:`~skeattn.experiments.process.Job` reads its progress."""
    command = [sys.executable, str(TOOLS / 'train.py'), config, '--work-dir', str(work_dir)]
    return [*command, *(['--resume'] if resume else []), *option_arguments({**LOG_INTERVAL, **options})]


def option_arguments(options: Mapping[str, Any]) -> list[str]:
    """Overrides as the command line takes them.

    Raises:
        ConfigError: a value that would be read back as another one, a dict for example.
    """
    arguments = [f'{key}={value}' for key, value in options.items()]
    parser = argparse.ArgumentParser()
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={})
    read = vars(parser.parse_args(['--cfg-options', *arguments]))['cfg_options']
    for key, value in options.items():
        if read[key] != value:
            raise ConfigError(f'option {key}={value!r} would be read as {read[key]!r}; name its parts by dotted keys')
    return ['--cfg-options', *arguments]
