"""Which records fill which cells, and how the table looks."""

import json
import re
from pathlib import Path

import pytest

from skeattn.engine.config import read_config
from skeattn.errors import ConfigError, DataError
from skeattn.experiments import plan
from skeattn.experiments.paper import TABLES, Column, Line, PaperTable
from skeattn.experiments.paper_tables import export, fill, over_seeds, portable, read_records
from skeattn.experiments.plan import Cell, budget_options, find_table
from skeattn.results.record import Record
from tests.conftest import ROOT
from tests.experiments.records import OURS, SMALL, THEIRS, filled, record


@pytest.fixture(autouse=True)
def checkout(monkeypatch):
    monkeypatch.chdir(ROOT)


def column(table, heading: str) -> dict[tuple[str, ...], str]:
    """Labels -> text of the cells under a heading."""
    labels = len(table.table.headings)
    place = table.headings.index(heading)
    return {tuple(row[:labels]): row[place] for row in table.rows}


def test_cells_hold_mean_deviation_and_number_of_seeds() -> None:
    table = filled(record(OURS, 0, 70.0), record(OURS, 1, 74.0), record(THEIRS, 0, 61.25))
    cells = column(table, 'NW-UCLA X-View\nours, small')
    assert {key: text for key, text in cells.items() if text != '–'} == {
        ('Ours', 'J'): '72.0 ± 2.8 (2)',
        ('Baseline*', 'J'): '61.2 (1)',
    }
    assert column(table, 'NTU-120 X-Set [?]\npaper')['Ours', '3S'] == '80.0'
    assert column(table, 'PKU-MMD I\npaper')['Baseline', 'J'] == '–'


@pytest.mark.slow
def test_a_record_fills_what_its_streams_and_options_say() -> None:
    motion = record(OURS, 0, 50.0, ('motion',), {**SMALL, 'stream': 'motion'})
    fusion = record(OURS, 0, 80.0, ('bone', 'joint', 'motion'), checkpoint=['a', 'b', 'c'])
    ablated = record(OURS, 0, 33.0, options={**SMALL, 'model.mu': '1.0'})
    untrained = record(OURS, 0, 20.0, checkpoint=None)
    common = record(OURS.replace('.py', '_common.py'), 0, 44.0)
    records = [motion, fusion, ablated, untrained, common]
    cells = column(filled(*records), 'NW-UCLA X-View\nours, small')
    assert {key: text for key, text in cells.items() if text != '–'} == {
        ('Ours', 'M'): '50.0 (1)',
        ('Ours', '3S'): '80.0 (1)',
        ('untrained encoder', 'J'): '20.0 (1)',
    }
    ablation = column(filled(*records, table='7'), 'NW-UCLA X-View\nours, small')
    assert list(ablation.values()) == ['–', '–', '33.0 (1)', '–', '20.0 (1)']


@pytest.mark.slow
def test_of_all_columns_only_the_configs_of_records_are_read(monkeypatch) -> None:
    paths = []
    monkeypatch.setattr(plan, 'read_config', lambda path, *options: paths.append(path) or read_config(path, *options))
    table = filled(record(OURS, 0, 33.0, options={**SMALL, 'model.mu': '1.0'}), table='7')
    assert column(table, 'NW-UCLA X-View\nours, small') and set(paths) == {OURS}


def test_one_source_of_several_has_the_streams_of_a_line() -> None:
    item = record('configs/crossclr/stgcn_nwucla_xview.py', 0, 80.0, ('joint', 'motion', 'bone'))
    item['sources']['joint/backbone'] = {'streams': ['joint'], 'metrics': {'linear/top1': 66.0}}
    assert column(filled(item, table='3'), 'NW-UCLA X-View\nours, small')['CrosSCLR', 'J'] == '66.0 (1)'


def test_of_two_records_of_a_cell_and_seed_the_newer_counts() -> None:
    old, new = record(OURS, 0, 70.0, finished='2026-01-01'), record(OURS, 0, 71.0, finished='2026-01-02')
    for records in ((old, new), (new, old)):
        assert column(filled(*records), 'NW-UCLA X-View\nours, small')['Ours', 'J'] == '71.0 (1)'


def test_budgets_have_columns_of_their_own() -> None:
    records = record(OURS, 0, 70.0), record(OURS, 0, 75.0, options={})
    assert filled(*records).headings[-2:] == ['NW-UCLA X-View\nours', 'NW-UCLA X-View\nours, small']
    assert filled(*records, budgets=['full']).headings[-1] == 'NW-UCLA X-View\nours'
    lower = record(OURS, 0, 60.0, options={**SMALL, 'batch_size': '8'})
    assert len(filled(lower).headings) == 2 + 6  # another experiment than the table's
    table = filled(lower, overrides={'batch_size': 8})
    assert column(table, 'NW-UCLA X-View\nours, small')['Ours', 'J'] == '60.0 (1)'


@pytest.mark.slow
def test_the_note_names_overrides_and_records_that_have_others() -> None:
    records = [record(OURS, seed, 60.0, options={**SMALL, 'batch_size': '8'}) for seed in (0, 1)]
    records.append(record(OURS, 0, 50.0, options={**SMALL, 'model.mu': '1.0', 'batch_size': '9'}))
    assert filled(*records).hints == [
        '3 records of NW-UCLA X-View with other overrides: batch_size=8 or model.mu=1.0 batch_size=9; '
        'see --cfg-options.'
    ]
    ablation = filled(*records, table='7', datasets=['nwucla_xview'])
    assert ablation.note.endswith('with other overrides: batch_size=8 or batch_size=9; see --cfg-options.')
    shown = filled(*records, overrides={'batch_size': 8})
    assert shown.note.endswith('\nEvery run of ours has these overrides of its config: batch_size=8.')
    (hint,) = filled(record(OURS, 0, 70.0), overrides={'batch_size': 7}).hints
    assert hint == '1 record of NW-UCLA X-View with other overrides: none; see --cfg-options.'
    plain = filled(*records, record(OURS, 0, 70.0))
    assert plain.hints == [] and 'overrid' not in plain.note


def test_datasets_that_are_asked_for_are_all_that_is_shown() -> None:
    table = filled(record(OURS, 0, 70.0), datasets=['utdmhad_xsub', 'ntu60_xsub'])
    assert table.headings[2:] == ['NTU-60 X-Sub\npaper', 'NTU-60 X-Sub\nours', 'UTD-MHAD X-Sub\nours']
    assert {row[-1] for row in table.rows} == {'–'}
    with pytest.raises(ConfigError, match=r'--dataset nwucla: no config for it; choose from demo, .*nwucla_xview'):
        filled(datasets=['nwucla'])
    with pytest.raises(ConfigError, match="no table '8'; choose from 1, 2, 3, 4, 5, 6, 7, negatives, mu"):
        find_table('8')


def test_another_backbone_of_a_data_set_is_another_column() -> None:
    table = filled(record(OURS, 0, 70.0), table='2')
    assert 'NW-UCLA X-View, ST-GCN\nours, small' in table.headings


def test_protocols_of_a_line_are_told_apart() -> None:
    options = {key: str(value) for key, value in budget_options('small', ['semi10']).items()}
    part = {'streams': ['joint', 'bone', 'motion'], 'metrics': {'semi10/top1': 77.0}}
    item = record(OURS, 0, 0.0, options=options, sources={'fusion': part})
    cells = column(filled(item, table='5'), 'NW-UCLA X-View\nours, small')
    assert (cells['1 %', 'Ours'], cells['10 %', 'Ours']) == ('–', '77.0 (1)')


TOY = PaperTable(
    'Toy', ('method',), (Column('nwucla_xview', 'stgcn', 'Set', True),), (Line(('A_b',), (81.0,), 'skeattnclr'),)
)


def test_formats() -> None:
    table = fill(TOY, {Path('a.json'): Record.from_dict(record(OURS, 0, 70.0))})
    assert table.render().splitlines()[2:] == [
        '--------  ---------  -------------',
        'A_b            81.0       70.0 (1)',
    ]
    assert table.render('github').splitlines()[0] == '| method   |   Set [?] paper |   Set [?] ours, small |'
    latex = table.render('latex')
    assert re.search(r'\\toprule\n method\s+&\s+Set \[\?\] paper', latex) and r'A\_b' in latex
    assert '$q_{s}$ / $q_{ns}$' in (ablation := filled(table='7').render('latex')) and '& $L_{ns}$' in ablation
    assert 'q_s / q_ns' in filled(table='7').render('github')


@pytest.mark.parametrize(('values', 'text'), [([], '–'), ([12.345], '12.3 (1)'), ([1.0, 2.0, 3.0], '2.0 ± 1.0 (3)')])
def test_over_seeds(values: list[float], text: str) -> None:
    assert over_seeds(values) == text


def test_records_are_found_among_other_files(tmp_path: Path) -> None:
    """In a folder of copies as in that of the runs; logs of one JSON a line, damaged and other files are none."""
    for name in ('a.json', 'run/linear-1.json', 'fusions/b.json', 'run/vis/deep.json'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(json.dumps(record(OURS, 0, 70.0)))
    (tmp_path / 'run/best.json').write_text('{"knn": 3}')
    (tmp_path / 'run/scalars.json').write_text('{"loss": 3}\n{"loss": 2}\n')
    (tmp_path / 'list.json').write_text('[]')
    paths = [str(path.relative_to(tmp_path)) for path in read_records([tmp_path])]
    assert paths == ['a.json', 'fusions/b.json', 'run/linear-1.json']
    with pytest.raises(DataError, match='no folder nowhere'):
        read_records([Path('nowhere')])


def test_exported_records_give_the_same_table_and_name_no_machine(tmp_path: Path) -> None:
    """The copies that hold what the table shows, and nothing else."""
    records = [
        record(OURS, 0, 70.0, data='/home/me/data/nwucla', pretrained={'data': ['/home/me/a']}),
        record(OURS, 1, 72.0),
        record(OURS, 0, 50.0, ('motion',), {**SMALL, 'stream': 'motion'}),
        record(OURS, 0, 10.0, options={'model.mu': '0.3'}),
    ]
    table = filled(*records)
    written = export(table, tmp_path)
    assert len(set(written)) == 3 and 'skeattnclr_stgcn_nwucla_xview_num_frames_32_seed0.json' in {
        path.name for path in written
    }
    again = fill(TABLES['1'], read_records([tmp_path]))
    assert again.render() == table.render()
    assert all('/home' not in path.read_text() for path in written)
    assert portable({'a': ['/x/y', 'x/y', 3]}) == {'a': ['y', 'x/y', 3]}


def test_the_smaller_budget_shortens_what_trains() -> None:
    assert budget_options('full', ['finetune']) == {}
    frames = {'dataset.pipeline.resample.num_frames': 32}
    assert budget_options('small', ['finetune']) == {**frames, 'protocols.finetune.train_cfg.max_epochs': 30}
    assert budget_options('small', ['semi01']) == frames


def test_a_cell_knows_its_config_and_what_it_lacks() -> None:
    line = TABLES['1'].lines[1]
    ntu, ucla = (Column(name, 'stgcn', '') for name in ('ntu60_xsub', 'nwucla_xview'))
    assert Cell(TABLES['1'], line, ntu).config == 'configs/skeletonclr/stgcn_ntu60_xsub_paper.py'
    assert Cell(TABLES['1'], line, ucla).config == THEIRS
    assert Cell(TABLES['2'], line, Column('ucf', 'stgcn', '')).config is None


def test_a_table_of_the_paper_is_of_the_mean_unless_an_override_names_a_readout() -> None:
    options = {**SMALL, 'evaluation.readout': 'joints'}
    mean, joints = record(OURS, 0, 70.0), record(OURS, 0, 80.0, options=options)
    joints['sources'] = {'backbone@joints': {**joints['sources']['backbone'], 'readout': 'joints'}}
    assert column(filled(mean, joints), 'NW-UCLA X-View\nours, small')['Ours', 'J'] == '70.0 (1)'
    read = filled(mean, joints, overrides={'evaluation.readout': 'joints'})
    assert column(read, 'NW-UCLA X-View\nours, small, joints')['Ours', 'J'] == '80.0 (1)'
    both = {**record(OURS, 0, 70.0), 'sources': {**joints['sources'], **mean['sources']}}
    assert column(filled(both), 'NW-UCLA X-View\nours, small')['Ours', 'J'] == '70.0 (1)'


def test_where_test_clips_are_copies_a_column_leaves_them_out() -> None:
    def without(number: float, seed: int, all_clips: float):
        one = record(OURS, seed, all_clips)
        one['sources']['backbone']['metrics_without_copies'] = {'linear/top1': number}
        return one

    table = filled(without(60.0, 0, 70.0), without(64.0, 1, 74.0), record(THEIRS, 0, 61.25))
    headings = [text for text in table.headings if text.startswith('NW-UCLA')]
    assert headings == ['NW-UCLA X-View\nours, small', 'NW-UCLA X-View\nwithout copies']
    assert column(table, headings[0])['Ours', 'J'] == '72.0 ± 2.8 (2)'
    cells = column(table, headings[1])
    assert (cells['Ours', 'J'], cells['Baseline*', 'J']) == ('62.0 ± 2.8 (2)', '–')
    assert '"without copies"' in table.note and '"without copies"' not in filled(record(OURS, 0, 70.0)).note
