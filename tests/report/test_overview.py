"""What the page says equals what the files say."""

import json
import math
import shutil
from pathlib import Path

import pytest

from skeattn.errors import ConfigError, DataError
from skeattn.report.overview import classes, config_differences, curves, numbers, summary
from skeattn.report.runs import MOST, Run, find_runs
from skeattn.results import record as records
from skeattn.results.class_gain import MEAN, class_gains
from skeattn.results.recorded import read_result
from tests.report.runs import CLASSES, METRICS, log_lines


def cell(runs: list[Run], label: str) -> list[str]:
    return next(row['values'] for row in summary(runs) if row['label'] == label)


@pytest.mark.slow
def test_facts_are_those_of_checkpoint_and_record(runs) -> None:
    assert cell(runs, 'method') == ['SkeletonCLR', 'SkeAttnCLR']
    assert cell(runs, 'batch size') == ['8', '8'] and cell(runs, 'frames of a clip') == ['16', '16']
    assert cell(runs, 'checkpoint') == ['epoch_1.pth'] * 2
    assert cell(runs, 'split') == ['xsub'] * 2


def test_numbers_are_those_of_the_records_and_equal_baselines_stand_once(runs) -> None:
    (table,) = numbers(runs)['tables']
    keys = [column['metric'] for column in table['columns']]
    rows = {row['name']: dict(zip(keys, row['values'], strict=True)) for row in table['rows']}
    assert list(rows) == ['raw coordinates', 'skeletonclr: epoch_1', 'skeattnclr: epoch_1']
    for run in runs:
        record = records.read(run.folder / 'test_epoch_1.json')
        assert rows[f'{run.name}: epoch_1'] == record.sources['backbone'].metrics == METRICS[run.name]
        assert rows['raw coordinates'] == record.baselines['raw coordinates']
    assert [(row['run'], row['untrained']) for row in table['rows']] == [(None, True), (0, False), (1, False)]


def test_without_a_record_the_last_values_of_the_log_count(runs) -> None:
    run = Run('bare', runs[0].folder, meta=runs[0].meta, log=runs[0].log, config=runs[0].config)
    (table,) = numbers([run])['tables']
    (row,) = table['rows']
    assert (row['name'], row['values']) == ('epoch 4, during training', [44.0])


def test_runs_on_other_clips_have_their_own_table(runs) -> None:
    other = Run('other', runs[0].folder, meta={**runs[0].meta, 'manifest_sha256': 'b' * 64}, log=runs[0].log)
    tables = numbers([*runs, other])['tables']
    assert len(tables) == 2 and {row['run'] for row in tables[1]['rows']} == {len(runs)}


def test_curves_are_those_of_the_log(runs) -> None:
    found = {one['name']: one for one in curves(runs)}
    assert list(found) == ['loss', 'L_s', 'knn/top1_k1']
    for number, loss in ((0, 3.0), (1, 4.0)):
        written = [line['loss'] for line in log_lines(loss) if 'loss' in line]
        series = found['loss']['series'][number]
        assert series['run'] == number and series['x'] == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0]
        assert series['y'] == [None if math.isnan(value) else value for value in written]
    assert found['knn/top1_k1']['series'][1] == {'run': 1, 'x': [1, 2, 3, 4], 'y': [41.0, 42.0, 43.0, 44.0]}


def test_long_curves_are_thinned(runs) -> None:
    run = Run('long', Path())
    run.log = type(runs[0].log)({'loss': {float(i): float(i) for i in range(100_000)}}, {})
    (series,) = curves([run])[0]['series']
    assert len(series['x']) == 1000 and series['x'] == series['y'] and series['x'][-1] == 99_999


def test_classes_and_gains_are_those_of_the_records(runs) -> None:
    (result,) = classes(runs)
    assert result['title'] == 'linear, backbone'
    sides = [[read_result(run.folder / 'test_epoch_1.json')] for run in runs]
    for shown, (side,) in zip(result['runs'], sides, strict=True):
        assert shown['classes'] == CLASSES and shown['confusion'] == side.confusion.tolist()
        assert dict(zip(CLASSES, shown['per_class'], strict=True)) == side.result.per_class
    (gain,) = result['gains']
    expected = {one.name: one.gain for one in class_gains(*sides)}
    assert (gain['baseline'], gain['run'], gain['mean']) == (0, 1, expected.pop(MEAN)) and gain['gains'] == expected


def test_configs_are_compared_without_what_a_start_adds(runs) -> None:
    found = config_differences(runs)
    keys = {row['key']: row['values'] for row in found['rows']}
    assert keys['model.type'] == ["'SkeletonCLR'", "'SkeAttnCLR'"] and 'work_dir' not in keys
    assert 'reason' in config_differences(runs[:1])


@pytest.mark.slow
def test_a_folder_of_work_dirs_is_all_of_them_and_a_name_counts(work_dirs) -> None:
    assert [run.name for run in find_runs([work_dirs[0].parent])] == ['skeattnclr', 'skeletonclr']
    ours, theirs = find_runs([f'ours={work_dirs[1]}', work_dirs[0]])
    assert (ours.name, theirs.name) == ('ours', 'skeletonclr')


def test_equal_names_are_told_apart_by_their_folders(tmp_path, work_dirs) -> None:
    copies = [tmp_path / seed / 'run' for seed in ('seed0', 'seed1')]
    for copy in copies:
        copy.mkdir(parents=True)
        shutil.copy(work_dirs[0] / 'test_epoch_1.json', copy)
    assert [run.name for run in find_runs(copies)] == ['seed0/run', 'seed1/run']


def test_what_holds_nothing_is_one_error(tmp_path, work_dirs) -> None:
    (tmp_path / 'empty').mkdir()
    with pytest.raises(DataError, match=r'empty holds nothing to report: no checkpoint .* give the work_dir'):
        find_runs([tmp_path / 'empty'])
    with pytest.raises(ConfigError, match='nowhere: no such folder'):
        find_runs([tmp_path / 'nowhere'])
    with pytest.raises(ConfigError, match='is listed twice'):
        find_runs([work_dirs[0], work_dirs[0].parent])
    with pytest.raises(ConfigError, match='two runs have one name'):
        find_runs([f'a={work_dirs[0]}', f'a={work_dirs[1]}'])
    for number in range(MOST + 1):
        (tmp_path / 'many' / str(number)).mkdir(parents=True)
        (tmp_path / 'many' / str(number) / 'r.json').write_text('{"sources": {}}')
    with pytest.raises(ConfigError, match='9 runs are too many'):
        find_runs([tmp_path / 'many'])


def test_a_damaged_file_is_a_note_or_a_reason(tmp_path, work_dirs) -> None:
    (tmp_path / 'bad.json').write_text(json.dumps({'sources': 3}))
    (tmp_path / 'best.json').write_text('{"knn": {}}')
    (tmp_path / 'epoch_1.pth').write_bytes(b'no checkpoint')
    (tmp_path / 'toy.py').write_text("model = dict(type='SkeletonCLR')\nraise SystemExit('executed')\n")
    (run,) = find_runs([tmp_path])
    assert 'none of its 1 checkpoints can be read' in run.missing['checkpoint']
    assert {'records', 'log'} <= run.missing.keys()
    assert any('bad.json' in note for note in run.notes) and not any('best.json' in note for note in run.notes)
    assert summary([run]) and numbers([run]) == {'tables': [], 'notes': []} and classes([run]) == [] == curves([run])
