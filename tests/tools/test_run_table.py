"""run_table.py on toy configs; training and evaluation are stand-ins, except in one test."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import skeattn.experiments.run
from skeattn.errors import ConfigError, DataError
from skeattn.experiments import command
from skeattn.results.record import read
from tests.conftest import ROOT
from tests.engine.toy import call, write_config, write_set
from tests.experiments.stubs import write_stubs

pytestmark = pytest.mark.slow

SCRIPT = """
import sys
import time
from pathlib import Path
import skeattn.experiments.run
from tests.engine.toy import call

skeattn.experiments.run.TOOLS = Path('stubs').resolve()
sys.exit(call('table', *sys.argv[1:], '--jobs', '1'))
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch) -> Path:
    """Two methods over one packed set."""
    write_set(tmp_path / 'set')
    for method in ('skeletonclr', 'skeattnclr'):
        folder = tmp_path / 'configs' / method
        folder.mkdir(parents=True)
        write_config(folder, method, data=tmp_path / 'set').rename(folder / 'stgcn_toy.py')
    write_stubs(tmp_path / 'stubs')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    return tmp_path


@pytest.fixture
def start(checkout: Path, monkeypatch):
    """The tool in that checkout, with stand-ins."""
    monkeypatch.setattr(command, 'leave_on_sigterm', lambda: None)
    monkeypatch.setattr(skeattn.experiments.run, 'TOOLS', checkout / 'stubs')

    def run(*arguments: str) -> int:
        return call('table', *arguments)

    return run


def trainings(root: Path = Path('work_dirs/runs')) -> dict[str, int]:
    """Folder -> how often it was trained."""
    return {path.parent.name: len(path.read_text()) for path in root.glob('*/carried_out')}


def ours(text: str) -> dict[str, str]:
    """Labels -> the last column of a table in GitHub's format."""
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in text.splitlines() if line[:1] == '|']
    return {' '.join(row[:2]): row[-1] for row in rows[2:]}


def test_a_table_is_run_once_and_written_in_all_formats(start, capsys) -> None:
    arguments = ('1', '--dataset', 'toy', '--seeds', '0', '1', '--methods', 'skeletonclr')
    assert start(*arguments) == 0
    out = Path('work_dirs/tables/1_toy')
    shown = capsys.readouterr().out
    assert (out / 'table.txt').read_text() in shown
    assert '14 of 14 runs are finished' in shown and 'No records of' not in shown
    cells = ours((out / 'table.md').read_text())
    assert {label for label, text in cells.items() if text.endswith('(2)')} == {
        *(f'{name} {stream}' for name in ('Baseline*', 'untrained encoder') for stream in ('J', 'M', 'B', '3S')),
        'raw coordinates J',
    }
    assert cells['Baseline J'] == '–'
    assert r'\toprule' in (out / 'table.tex').read_text()
    records = [Path(path) for path in json.loads((out / 'records.json').read_text())['records']]
    assert len(records) == 14 + 2 * 2 and all(path.is_file() for path in records)
    assert sorted(trainings().values()) == [1] * 6
    fusions = [read(path) for path in records if path.parent.name == 'fusions']
    assert [bool(record.checkpoint) for record in fusions] == [True, False] * 2
    fusion = fusions[0]
    assert fusion.sources['fusion'].streams == ['joint', 'bone', 'motion']
    assert fusion.ensemble.selection == 'heldout'

    before = {path: path.stat().st_mtime_ns for path in records}
    table = (out / 'table.md').read_text()
    assert start(*arguments) == 0
    assert (out / 'table.md').read_text() == table
    assert {path: path.stat().st_mtime_ns for path in records} == before


def test_tables_share_their_trainings(start, capsys) -> None:
    """KNN is in the same records; fine-tuning has records of its own from the same weights."""
    arguments = ('--dataset', 'toy', '--seeds', '0', '--streams', 'joint')
    assert start('1', *arguments) == 0
    assert start('4', *arguments, '--methods', 'skeletonclr', 'skeattnclr') == 0
    assert '0 of 4 runs to do' in capsys.readouterr().out
    assert start('6', *arguments, '--methods', 'skeletonclr') == 0
    assert sorted(trainings().values()) == [1, 1]
    names = {path.name.partition('-')[0] for path in Path('work_dirs/runs').glob('SkeletonCLR-*/*-*.json')}
    assert names == {'knn_linear_probe', 'finetune'}


def test_from_scratch_nothing_is_trained_beforehand(start) -> None:
    streams = ('--streams', 'joint', 'bone', 'motion', '--methods', 'skeattnclr')
    assert start('6', '--dataset', 'toy', '--seeds', '0', *streams) == 0
    assert set(trainings().values()) == {1} and len(trainings()) == 3
    cells = ours(Path('work_dirs/tables/6_toy/table.md').read_text())
    assert {label for label, text in cells.items() if text != '–'} == {
        *('Ours J', 'Ours 3S', 'ST-GCN, from scratch 3S [?]'),
    }


def test_a_failed_run_is_named_and_the_rest_is_shown(start, capsys) -> None:
    arguments = ('1', '--dataset', 'toy', '--seeds', '0', '--methods', 'skeletonclr', '--cfg-options', 'batch_size=4')
    assert start(*arguments) == 1
    shown = capsys.readouterr()
    assert shown.err.startswith(
        '\nfailed: SkeletonCLR bone seed 0 ended with status 1; work_dirs/runs/SkeletonCLR-seed0-'
    )
    assert shown.err.endswith('bones are broken\n')
    assert 'no fusion of SkeletonCLR seed 0, linear, joint, bone, motion: bone missing' in shown.out
    text = Path('work_dirs/tables/1_toy/table.md').read_text()
    assert [label for label, text in ours(text).items() if text != '–'] == [
        *('Baseline* J', 'Baseline* M', 'raw coordinates J', 'untrained encoder J', 'untrained encoder M'),
    ]
    for written in (text, Path('work_dirs/tables/1_toy/table.txt').read_text(), shown.out):
        assert 'Every run of ours has these overrides of its config: batch_size=4.' in written


def test_dry_run_says_what_is_finished_and_runs_nothing(start, capsys) -> None:
    arguments = ('1', '--dataset', 'toy', '--seeds', '0', '--methods', 'skeletonclr')
    assert start(*arguments, '--streams', 'joint') == 0
    capsys.readouterr()
    assert start(*arguments, '--dry-run') == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split('  ')[0] for line in lines] == [
        *('finished', 'to be trained', 'to be trained'),
        *('finished', 'finished', 'to be evaluated', 'to be evaluated'),  # raw coordinates, and the untrained encoder
        *('to be fused', 'to be fused'),
    ]
    assert sorted(trainings().values()) == [1]


def test_dry_run_tells_the_lines_of_an_ablation_apart(start, capsys) -> None:
    assert start('7', '--dataset', 'toy', '--seeds', '0', '--dry-run') == 0
    named = [line.partition('  ')[2].partition(',')[0] for line in capsys.readouterr().out.splitlines()]
    assert [name.strip() for name in named] == [
        'SkeAttnCLR joint opposite_negative=False seed 0',
        'SkeAttnCLR joint opposite_negative=False mu=1.0 seed 0',
        'SkeAttnCLR joint mu=1.0 seed 0',
        'SkeAttnCLR joint seed 0',
        'raw coordinates seed 0',
        'untrained encoder joint seed 0',
    ]


def test_what_has_no_config_or_does_not_fit_stays_empty(start, capsys) -> None:
    assert start('2', '--dataset', 'toy', '--seeds', '0', '--streams', 'joint', '--methods', 'skeletonclr') == 0
    shown = capsys.readouterr().out
    assert 'configs/skeletonclr/bigru_toy.py does not exist; its cells stay empty' in shown
    assert '3 of 3 runs are finished' in shown
    assert start('heads', '--dataset', 'toy', '--seeds', '0') == 0
    assert 'model.mhsam.num_heads=16 does not divide the 8 channels of the map; its cell stays empty' in (
        capsys.readouterr().out
    )


def test_what_is_not_known_is_refused_with_what_there_is(start) -> None:
    with pytest.raises(ConfigError, match=r"no table '9'; choose from 1, 2, .* heads"):
        start('9', '--dataset', 'toy')
    with pytest.raises(ConfigError, match=r'--dataset tyo: no config for it; choose from .*toy'):
        start('1', '--dataset', 'tyo')
    with pytest.raises(ConfigError, match='--methods moco: not in table 1; choose from skeletonclr, skeattnclr'):
        start('1', '--dataset', 'toy', '--methods', 'moco')
    with pytest.raises(ConfigError, match=r'--streams bone: table 4 has no such line of ours; choose joint$'):
        start('4', '--dataset', 'toy', '--streams', 'bone')
    with pytest.raises(ConfigError, match=r'configs/skeletonclr/stgcn_toy\.py: .*persons'):
        start('1', '--dataset', 'toy', '--cfg-options', 'model.persons=none')
    with pytest.raises(DataError, match='no packed set at nowhere'):
        start('1', '--dataset', 'toy', '--dry-run', '--cfg-options', 'dataset.data=nowhere')


def test_killed_at_any_point_it_goes_on_and_ends_with_the_same_table(start, checkout: Path, monkeypatch) -> None:
    """While something trains, between records, and at the fusions."""
    monkeypatch.setenv('STUB_SECONDS', '0.3')
    arguments = ('1', '--dataset', 'toy', '--methods', 'skeletonclr', '--seeds', '0')
    assert start(*arguments, '--work-dir', 'calm') == 0
    table, runs = Path('work_dirs/tables/1_toy/table.txt'), Path('work_dirs/runs')
    calm = table.read_text()
    table.unlink()
    finished = dict[Path, int]()

    def records() -> list[Path]:
        return sorted(runs.glob('*/knn_linear_probe-*.json'))

    points = [
        trainings,
        lambda: len(records()) >= 1,
        lambda: len(records()) >= 2,
        lambda: (runs / 'fusions').is_dir(),
    ]
    for point in points:
        with subprocess.Popen([sys.executable, '-c', SCRIPT, *arguments], stdout=subprocess.DEVNULL) as process:
            while not point() and process.poll() is None:
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
        assert all(path.stat().st_mtime_ns == written for path, written in finished.items())
        finished |= {path: path.stat().st_mtime_ns for path in records()}
    assert start(*arguments) == 0
    assert table.read_text() == calm
    assert all(path.stat().st_mtime_ns == written for path, written in finished.items())
    assert len(records()) == 7


def test_with_the_real_tools(start, monkeypatch) -> None:
    monkeypatch.setattr(skeattn.experiments.run, 'TOOLS', ROOT / 'tools')
    assert start('1', '--dataset', 'toy', '--methods', 'skeletonclr', '--seeds', '0') == 0
    cells = ours(Path('work_dirs/tables/1_toy/table.md').read_text())
    numbers = {label: float(text.split()[0]) for label, text in cells.items() if text != '–'}
    assert numbers.keys() == {
        *(f'{name} {stream}' for name in ('Baseline*', 'untrained encoder') for stream in ('J', 'M', 'B', '3S')),
        'raw coordinates J',
    }
    (fusion,) = Path('work_dirs/runs/fusions').glob('SkeletonCLR*.json')
    record = json.loads(fusion.read_text())
    assert numbers['Baseline* 3S'] == pytest.approx(record['sources']['fusion']['metrics']['linear/top1'], abs=0.05)
