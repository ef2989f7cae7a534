"""The comparison of two trainings sees a difference in any part of what they leave."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from skeattn.checkpoint import read_checkpoint, write_checkpoint
from skeattn.engine import SkeAttnRunner
from skeattn.torture import toy
from skeattn.torture.traces import differences, same

pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def whole(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('traces')
    config = toy.write_config(folder / 'toy.py', toy.write_set(folder / 'set'))
    SkeAttnRunner.from_cfg(toy.read(config, folder / 'run')).train()
    return folder / 'run'


@pytest.fixture
def run(whole, tmp_path) -> Path:
    return shutil.copytree(whole, tmp_path / 'run')


def change(run: Path, *place: str | int, by: object) -> None:
    checkpoint = read_checkpoint(run / 'epoch_2.pth')
    holder = checkpoint
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = by
    write_checkpoint(run / 'epoch_2.pth', checkpoint)


def test_a_copy_differs_in_nothing(run, whole) -> None:
    assert differences(run, whole) == []


@pytest.mark.parametrize(
    ('place', 'by'),
    [
        (('state_dict', 'queue.pointer'), torch.tensor(0)),
        (('optimizer', 'param_groups', 0, 'lr'), 0.1),
        (('param_schedulers', 0, 'last_step'), 7),
        (('message_hub', 'log_scalars', 'train/loss', 'values'), [0.0]),
        (('meta', 'iter'), 5),
    ],
)
def test_a_changed_value_of_the_last_checkpoint_is_seen(run, whole, place, by) -> None:
    change(run, *place, by=by)
    assert len(differences(run, whole)) == 1 and 'epoch_2.pth differs' in differences(run, whole)[0]


def test_changed_and_missing_lines_of_the_curves_are_seen(run, whole) -> None:
    (log,) = run.glob('*/vis_data/scalars.json')
    first, *lines = log.read_text().splitlines()
    log.write_text('\n'.join(lines) + '\n')
    assert differences(run, whole) == ["curves differ in 1 lines, first ('training', 1)"]
    log.write_text('\n'.join([first.replace('"loss": ', '"loss": 1'), first, *lines]) + '\n')
    assert differences(run, whole) == ["curves differ in 1 lines, first ('training', 1)"]


def test_the_best_evaluation_and_files_left_over_are_seen(run, whole) -> None:
    best = json.loads((run / 'best.json').read_text())
    best['knn/top1_k1']['score'] += 1
    (run / 'best.json').write_text(json.dumps(best))
    (run / '.epoch_2.pth.host-1-00000000.tmp').touch()
    assert differences(run, whole) == ['best.json differs', 'files: .epoch_2.pth.host-1-00000000.tmp']


def test_equal_values_of_different_types_are_not_the_same_and_nan_is() -> None:
    nan = torch.tensor([float('nan'), -0.0])
    assert same(nan, nan.clone()) and not same(nan, nan.abs()) and same([float('nan')], [float('nan')])
    assert not same(1, True) and not same(torch.ones(2), torch.ones(2, dtype=torch.float64))
