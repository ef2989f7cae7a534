"""What a person reads from a training's first line to its last, and what a failed start leaves."""

import os
import re
import signal
import subprocess
import sys
from fnmatch import fnmatch

import pytest

from skeattn.engine.build import load_model
from skeattn.engine.resume import paper_vs_release
from skeattn.engine.summary import together
from tests.configs.leaves import LEAVES, name_of
from tests.conftest import ROOT
from tests.engine.toy import write_config

pytestmark = pytest.mark.slow


@pytest.fixture
def config(tmp_path):
    return write_config(tmp_path)


def test_the_first_screen_is_short_and_the_last_line_says_where_everything_is(tool, config, tmp_path):
    """Kind N10: what a person reads. Environment and config are in the log file alone."""
    work_dir = tmp_path / 'my runs' / 'a, b'
    status, out, _ = tool('train.py', config, '--cfg-options', f'work_dir={work_dir}', 'max_iters=2')
    lines = out.splitlines()
    first = next(i for i, line in enumerate(lines) if 'Epoch(train)' in line)
    assert status == 0 and first < 30
    assert 'SkeAttnCLR: stream joint' in out and 'where paper and release differ:' in out
    assert 'System environment' not in out and 'Hooks will be executed' not in out
    assert lines[-1].startswith(f'trained: {work_dir / "epoch_1.pth"}; config, log and curves: {work_dir}; evaluate: ')
    assert lines[-1].endswith(f"skeattn test {config} '{work_dir}' --cfg-options 'work_dir={work_dir}' max_iters=2")
    (log,) = work_dir.glob('*/*.log')
    assert 'System environment' in log.read_text() and "'type': 'SkeAttnCLR'" in log.read_text()


@pytest.mark.parametrize('config', [path for path in LEAVES if path.stem == 'stgcn_demo'], ids=name_of)
def test_the_choices_of_every_method_fit_on_a_screen(config):
    model = load_model(config)
    choices = paper_vs_release(model)
    rows = together(choices)
    assert len(rows) <= 22
    for name, (value, origin) in choices.items():
        assert [row for pattern, row in rows.items() if fnmatch(name, pattern)] == [(str(value), origin)]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['dataset.data=nowhere'], 'no packed set at nowhere'),
        (['model.persons=many'], "'many'"),
        (['visualizer.vis_backends=[dict(type=WandbVisBackend)]'], 'visualizer: .*pip install wandb'),
        (['batch_size=1'], 'batch_size=1 must be at least 2'),
        (['load_from=nowhere.pth'], 'nowhere.pth'),
    ],
)
def test_a_failed_start_is_one_error_and_leaves_nothing(tool, config, tmp_path, options, message, monkeypatch):
    """Of the kind: a traceback for a value; folders of runs that never were."""
    monkeypatch.setitem(sys.modules, 'wandb', None)
    status, _, err = tool('train.py', config, '--work-dir', tmp_path / 'a' / 'b', '--cfg-options', *options)
    assert status == 2 and 'Traceback' not in err
    assert err.startswith('error: ') and re.search(message, err), err
    assert sorted(path.name for path in tmp_path.iterdir()) == ['set', 'toy.py']


@pytest.mark.slow
def test_a_failed_start_leaves_what_was_there(tool, config, tmp_path):
    work_dir = tmp_path / 'run'
    work_dir.mkdir()
    (work_dir / 'notes.txt').write_text('mine')
    assert tool('train.py', config, '--work-dir', work_dir, '--cfg-options', 'dataset.data=nowhere')[0] == 2
    assert [path.name for path in work_dir.iterdir()] == ['notes.txt']


def test_a_work_dir_that_is_a_file_is_refused(tool, config, tmp_path):
    (tmp_path / 'file').write_text('')
    for place in (tmp_path / 'file', tmp_path / 'file' / 'run'):
        status, _, err = tool('train.py', config, '--work-dir', place)
        assert status == 2 and err == f"error: work_dir='{place}' must be a folder; {tmp_path / 'file'} is a file\n"


@pytest.mark.slow
def test_an_interrupt_says_how_to_continue(config, tmp_path):
    command = [sys.executable, str(ROOT / 'tools/train.py'), str(config), '--work-dir', str(tmp_path / 'run')]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}
    options = ['--cfg-options', 'train_cfg.max_epochs=500']
    run = subprocess.Popen(
        [*command, *options], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    for line in run.stdout:
        if 'saved' in line:
            run.send_signal(signal.SIGINT)
            break
    _, err = run.communicate()
    assert run.returncode == 130
    assert 'interrupted; the same command with --resume continues from ' in err.splitlines()[-1]


def test_a_dry_run_prints_what_a_training_needs_and_writes_nothing(tool, config, tmp_path):
    before = sorted(path.name for path in tmp_path.iterdir())
    status, out, _ = tool('train.py', config, '--work-dir', tmp_path / 'run', '--dry-run')
    assert status == 0 and sorted(path.name for path in tmp_path.iterdir()) == before
    facts = {line.split()[0]: line for line in out.splitlines() if line}
    assert {'data', 'clips', 'method', 'steps', 'evaluation', 'time', 'memory', 'disk'} <= facts.keys()
    assert '26 training clips' in facts['data'] and '9 of 8 clips, in 3 epochs' in facts['steps']
    assert f'kept in {tmp_path / "run"}' in facts['disk']


def test_unlikely_settings_are_named_at_the_start(tool, config, tmp_path):
    options = ['--cfg-options', 'max_iters=1', 'model.queue.size=400']
    status, out, _ = tool('train.py', config, '--work-dir', tmp_path / 'run', *options)
    assert status == 0 and 'model.queue.size=400 is larger than the 26 training clips' in out
