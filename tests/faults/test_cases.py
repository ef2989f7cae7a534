"""Small inputs of every kind of fault, from conversion to training: cured, or warned of in one line with the cure."""

import os
import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT, shared_path

pytestmark = pytest.mark.slow

COCO = ('--layout', 'coco17', '--channels', 'x,y,score')

PRETRAINING = 'there is no test clip: it serves pre-training; evaluation needs labelled training and test clips'

# folder -> (arguments of convert.py, status, a line that it writes, a warning of verify_data.py).
INPUTS = {
    'F1': (('plain', *COCO), 0, r'skipped +0', None),
    'F2': (('plain', *COCO), 0, r'warning: c0: copy: equals the training clip copy0', r'c0: label: .*remove the wrong'),
    'F5a': (('plain', *COCO), 0, r'unlabelled +12 clips, for pre-training', 'no train clip has a label'),
    'F5b': (('plain', *COCO), 0, r'skipped +0', PRETRAINING),
    'F8score': (('plain', '--layout', 'coco17'), 0, r'channels +x, y, z', r'z lies in .* score.*--channels x,y,score'),
    'F8ctvm': (('plain', '--layout', 'coco17'), 0, r'12 clips with 3', r'\(C, T, V, M\).*transpose\(3, 1, 2, 0\)'),
    'F8body25': (
        ('plain', '--layout', 'ntu25', '--channels', 'x,y,score'), 0, 'skipped', r"not those of 'ntu25'.*layouts\.md"
    ),
    'F8one': (('plain', *COCO), 0, r'classes +3 of 4', r'labels probably begin at 1; subtract 1'),
    'F9.pkl': (('pyskl', '--layout', 'ntu25'), 0, r'skipped +0', None),
    'F12/openpose': (('openpose',), 0, r'layout +coco17', PRETRAINING),
    'F12/alphapose': (('alphapose',), 0, r'layout +coco17', PRETRAINING),
    'F12/mediapipe': (('mediapipe',), 0, r'layout +mediapipe33', PRETRAINING),
    'F12/kinetics': (('kinetics',), 0, r'layout +openpose18', PRETRAINING),
    'F12/lines': (('plain', '--layout', 'kinect20'), 0, r'frames min / median / max +5 / 5 / 5', PRETRAINING),
    'F12back': (('plain', *COCO), 0, r'clips +1\n', PRETRAINING),
    'F13': (('plain', *COCO), 0, r'12 clips with 4', None),
    'F15': (('plain', *COCO), 0, r'skipped +0', None),
}  # fmt: skip
# folder -> a line of a training on it.
TRAININGS = {
    'F1': None,
    'F5a': r'unlabelled|label',
    'F5b': r'no test clips',
    'F13': r'12 of 12 train clips have more persons than the pipeline packs \(1\)|persons are left out',
    'F15': None,
}


@pytest.fixture(scope='module')
def cases(tmp_path_factory):
    """The folder of the inputs."""
    folder = tmp_path_factory.mktemp('cases')
    make = shared_path('cases/make.py')
    subprocess.run([sys.executable, str(make)], cwd=folder, check=True, capture_output=True)
    return folder


def converted(cases, tmp_path, tool, name):
    (kind, *arguments), status, line, _ = INPUTS[name]
    result, out, err = tool('convert.py', kind, cases / name, *arguments, '--out', tmp_path / 'set')
    assert result == status, err
    assert re.search(line, out), out
    return tmp_path / 'set'


def write_config(folder, packed, split='split'):
    bases = ('models/skeattnclr_small', 'schedules/adamw_small', 'small_runtime', 'pipelines/pose2d')
    path = folder / 'mine.py'
    path.write_text(
        f'_base_ = {[str(ROOT / "configs/_base_" / f"{base}.py") for base in bases]}\n'
        f"layout = 'coco17'\nchannels = ['x', 'y', 'score']\nbatch_size = 4\nmax_iters = 2\n"
        f'dataset = dict(data={str(packed)!r}, split={split!r})\n'
    )
    return path


@pytest.mark.parametrize('name', INPUTS)
def test_an_input_converts_and_verify_says_what_is_odd(cases, tmp_path, tool, name):
    """Kinds F1, F2, F5, F8, F9, F12, F13, F15."""
    packed = converted(cases, tmp_path, tool, name)
    status, out, err = tool('verify_data.py', packed)
    assert status == 0 and 'is intact' in out, out + err
    warned = [line for line in (out + err).splitlines() if line.startswith('warning: ')]
    warning = INPUTS[name][3]
    assert any(re.search(warning, line) for line in warned) if warning else not warned, warned


@pytest.mark.parametrize('name', TRAININGS)
def test_an_input_is_drawn_and_trained_on(cases, tmp_path, tool, name):
    """Kinds F1, F5, F13, F15: no traceback, no silent truncation; evaluation says what it cannot do."""
    config = write_config(tmp_path, converted(cases, tmp_path, tool, name))
    status, _, err = tool('analysis_tools/browse_dataset.py', config, '--out', tmp_path / 'clip.html')
    assert status == 0 and (tmp_path / 'clip.html').is_file(), err
    command = [sys.executable, str(ROOT / 'tools/train.py'), str(config), '--work-dir', str(tmp_path / 'run')]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    printed = done.stdout + done.stderr
    assert done.returncode == 0 and 'Traceback' not in printed, printed[-3000:]
    assert (tmp_path / 'run/last_checkpoint').is_file()
    if TRAININGS[name]:
        assert re.search(TRAININGS[name], printed), printed[-3000:]
