"""Every command of the pages, and every one that the pages of version 0.1 had, is still understood.

Each is handed to the parser of its tool or command. What it names is looked at, too:
config files of the toolbox are read with the command's overrides and resolved, and the parts that these change are
built; protocols, tables and data sets have to be known, and the method needs features of every source.

Passed over are other programs (pip, git, ``python -m``) and scripts of the reader's.
"""

import argparse
import ast
import functools
import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from skeattn import commands, toolbox
from skeattn.choices import protocol_names
from skeattn.commands.test import listed
from skeattn.engine.config import read_config, resolve_config
from skeattn.errors import SkeAttnError
from skeattn.experiments.paper import TABLES
from skeattn.registry import HOOKS, MODELS
from skeattn.skeletons import get_layout
from tests.conftest import ROOT
from tests.docs.commands import COMMAND, call, pages, words
from tests.docs.commands import commands as commands_of

OLD = [line.rpartition('  # ')[0] for line in (Path(__file__).parent / 'commands_0_1.txt').read_text().splitlines()]
NOW = [command for page in pages() for _, command in commands_of(page.read_text())]
EVERY = list(dict.fromkeys([*OLD, *NOW]))
TOOLS = sorted(path.relative_to(ROOT / 'tools').as_posix() for path in ROOT.glob('tools/**/*.py'))

STAND_INS = {'CONFIG': 'configs/skeattnclr/stgcn_demo.py', 'FORMAT': 'ntu', 'COMMAND': 'train'}
"""For words that a reader replaces; other such words are as good as what takes their place."""
COMMAND_OF = {'run_table.py': 'table'}
"""Tools whose command has another name."""
OF_THE_READER = ('configs/mine.py', 'my_')
"""How configs begin that a page tells its reader to write."""
CLIPS, FRAMES, PERSONS = 2, 64, 2


@functools.cache
def load(tool: str) -> ModuleType:
    """A tool as a module."""
    spec = importlib.util.spec_from_file_location(f'tools_{Path(tool).stem}', ROOT / 'tools' / tool)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch) -> None:
    """A checkout where nothing was trained yet, as the current folder."""
    checkout = tmp_path / 'checkout'
    checkout.mkdir()
    for name in ('configs', 'docs', 'projects'):
        (checkout / name).symlink_to(ROOT / name)
    monkeypatch.chdir(checkout)


def parse(parser: argparse.ArgumentParser, arguments: list[str]) -> argparse.Namespace | None:
    """Arguments as a tool or command reads them, None where it shows its help."""
    try:
        args = parser.parse_args(arguments)
    except SystemExit as ended:
        assert ended.code == 0, f'not understood: {" ".join(arguments)}'
        return None
    named = [action.dest for action in actions(parser) if action.type is toolbox.config_name]
    for config in (value for name in named for value in flat(getattr(args, name, None))):
        if not config.startswith(OF_THE_READER) and not config.isupper():
            toolbox.find_config(config)
    return args


def flat(value: Any) -> list[Any]:
    """A value of an argument, or those of a list; nothing for None."""
    return value if isinstance(value, list) else [] if value is None else [value]


def started_by(script: str, arguments: list[str], folder: Path) -> list[str]:
    """The tool that a shell script starts, with its arguments; nothing where the script starts no tool.

    The script runs as it is, between stand-ins of the other scripts and of Python.
    """
    assert (ROOT / script).is_file(), f'there is no {script}'
    subprocess.run(['bash', '-n', ROOT / script], check=True)
    if not re.search(r'^exec .*(/|tools/)\w+\.(py|sh)\b', (ROOT / script).read_text(), re.MULTILINE):
        return []
    (folder / 'tools').mkdir()
    shutil.copy(ROOT / script, folder / script)
    for name, launcher in (('_launch.sh', 'pytorch'), ('_slurm.sh', 'slurm')):
        (folder / 'tools' / name).write_text(f'printf "%s\\n" "${{@:2}}" --launcher {launcher}')
    (folder / 'tools/python').write_text('#!/bin/sh\nprintf "%s\\n" "$@"')
    (folder / 'tools/python').chmod(0o755)
    (folder / 'tools/setup_env.sh').write_text('PYTHON=$PWD/tools/python')
    command = ['bash', folder / script, *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.splitlines()


def understand(command: str, folder: Path) -> None:
    """Refuse a command that has no meaning, or no meaning any more; needs ``checkout``."""
    program, *arguments = call(command)
    if program.endswith('.sh'):
        program, *arguments = started_by(program, arguments, folder) or ['']
    if program == 'skeattn':
        name, *arguments = expand(arguments)
        assert name in commands.COMMANDS, f'there is no command {name}'
        if not arguments:  # only named
            return
        parser = commands.load(name).parser()
    elif match := re.search(r'(?:^|/)tools/(.+\.py)$', program):
        assert match[1] in TOOLS, f'there is no tools/{match[1]}'
        name, parser = COMMAND_OF.get(match[1], match[1].removesuffix('.py')), load(match[1]).parser()
    else:
        return
    args = parse(parser, expand(arguments))
    if args is not None:
        check_names(name, args)


def expand(arguments: list[str]) -> list[str]:
    """Files for a pattern, as a shell does; a file of the toolbox for ``configs/METHOD/stgcn_SET.py``."""
    done = []
    for word in arguments:
        pattern = re.sub(r'[A-Z]{2,}', '*', word) if word.startswith('configs/') else word
        files = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob(pattern)) if '*' in pattern else []
        done += (files if pattern == word else files[:1]) or [STAND_INS.get(word, word)]
    return done


def check_names(command: str, args: argparse.Namespace) -> None:
    """What a command names is there."""
    values = [str(item) for value in vars(args).values() for item in flat(value)]
    options = {key: value for key, value in getattr(args, 'cfg_options', {}).items() if not key.isupper()}
    for config in [value for value in values if value.endswith('.py') and not value.startswith(OF_THE_READER)]:
        sources = listed(args.source) if command == 'test' else []
        check_config(config, repr(options), tuple(source for source in sources if source != 'raw'))
    for path in [value for value in values if re.match(r'(configs|docs|projects)/', value)]:
        assert path.startswith(OF_THE_READER) or (ROOT / path).exists(), f'there is no {path}'
    if command in ('tables', 'table'):
        assert args.table in TABLES
    if command in ('compare', 'table'):
        assert list(ROOT.glob(f'configs/*/stgcn_{args.dataset}.py')), f'there are no configs for {args.dataset}'
    if command == 'test':
        protocols = {protocol for protocol in listed(args.protocol) if not protocol.endswith('.py')}
        assert protocols <= set(protocol_names())


@functools.cache  # pages name few configs, often
def check_config(path: str, overrides: str, sources: tuple[str, ...]) -> None:
    """A config with its overrides resolves, what these change is built, and the method has features of the sources."""
    options = ast.literal_eval(overrides)
    cfg = resolve_config(read_config(path, options))
    changed = {key.partition('.')[0] for key in options}
    for hook in cfg.default_hooks.values() if 'default_hooks' in changed else ():
        HOOKS.build(hook)
    if sources or changed & {'model', 'stream'}:
        model = MODELS.build(cfg.model).eval()
        clips = torch.ones(CLIPS, 3, FRAMES, get_layout(cfg.layout).num_joints, PERSONS)
        for source in sources:
            with torch.no_grad():
                assert len(model.features({'inputs': clips}, source=source)) == CLIPS


def actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """Of a parser and of its subcommands."""
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for sub in action.choices.values():
                yield from actions(sub)


@pytest.fixture(scope='module')
def options() -> dict[str, list[argparse.Action]]:
    """What tools and commands take, by name: an action for each of them that has an option of that name."""
    taken: dict[str, list[argparse.Action]] = {}
    for module in (*map(load, TOOLS), *map(commands.load, commands.COMMANDS)):
        for action in actions(module.parser()):
            for name in action.option_strings:
                taken.setdefault(name, []).append(action)
    return taken


@pytest.mark.usefixtures('checkout')
@pytest.mark.parametrize(
    'command',
    [
        pytest.param(command, marks=[] if command in NOW else [pytest.mark.slow])
        for command in filter(COMMAND.match, EVERY)
    ],
    ids=lambda command: command[:80],
)
def test_a_command_is_understood(command: str, tmp_path: Path) -> None:
    understand(command, tmp_path)


@pytest.mark.parametrize('text', [text for text in EVERY if not COMMAND.match(text)])
def test_an_option_that_a_page_names_is_taken_by_a_tool(options, text: str) -> None:
    name, *given = words(text)
    assert name in options, f'no tool takes {name}'
    choices = [action.choices for action in options[name]]
    if all(choices):
        values = {value for word in given for value in word.split('|') if not value.isupper()}
        assert values <= {str(choice) for some in choices for choice in some}


@pytest.mark.usefixtures('checkout')
@pytest.mark.parametrize(
    ('command', 'error'),
    [
        ('python tools/trian.py CONFIG', AssertionError),
        ('python tools/train.py CONFIG --resmue', AssertionError),
        ('python tools/train.py configs/skeattnclr/stgcn_dmeo.py', SkeAttnError),
        ('python tools/train.py CONFIG --cfg-options bacth_size=8', SkeAttnError),
        ('python tools/train.py CONFIG --cfg-options model.mhsam.haeds=4', SkeAttnError),
        ('python tools/train.py CONFIG --cfg-options default_hooks.momentum.bsae=0.9', SkeAttnError),
        ('python tools/test.py CONFIG CHECKPOINT --protocol knn liner', AssertionError),
        ('python tools/test.py CONFIG CHECKPOINT --source logits', SkeAttnError),
        ('python tools/convert.py ntu raw', AssertionError),
        ('python tools/compare.py --dataset dmeo', AssertionError),
        ('python tools/tables.py 99', AssertionError),
        ('tools/dist_train.sh CONFIG 8 --resmue', AssertionError),
        ('skeattn trian CONFIG', AssertionError),
        ('skeattn train CONFIG --resmue', AssertionError),
        ('skeattn train skeattnclr/stgcn_dmeo', SkeAttnError),
        ('skeattn diff CONFIG skeattnclr/stgcn_dmeo', SkeAttnError),
        ('skeattn test skeattnclr/stgcn_demo CHECKPOINT --source logits', SkeAttnError),
        ('bash tools/quickstart.sh --chekc', AssertionError),
        ('bash tools/quickstrat.sh', AssertionError),
    ],
)
def test_what_has_no_meaning_is_noticed(command: str, error: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(error):
        understand(command, tmp_path)


PAGE = """
Text with `python tools/a.py X`, `--out FILE`, `tools/b.py`, `code` and `python
tools/c.py`.

```bash
tools/d.sh A 8          # comment
skeattn g X
PYTHONPATH=. python tools/e.py --cfg-options \\
    a=1 b=[2,3]
cd somewhere
```

| `--part 1\\|2` |

    pip install "x[y]"

```python
python = tools/f.py
```
"""


def test_commands_are_found_on_a_page() -> None:
    assert sorted(commands_of(PAGE)) == [
        (2, '--out FILE'),
        (2, 'python tools/a.py X'),
        (2, 'python tools/c.py'),
        (6, 'tools/d.sh A 8'),
        (7, 'skeattn g X'),
        (9, 'PYTHONPATH=. python tools/e.py --cfg-options a=1 b=[2,3]'),
        (13, '--part 1|2'),
        (15, 'pip install "x[y]"'),
    ]
    assert words('a.py [--b C] [--d E …] … x=[1,2] F…') == ['a.py', '--b', 'C', '--d', 'E', 'x=[1,2]', 'F']
