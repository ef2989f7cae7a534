"""The rows of raw coordinates and of the untrained encoder in the tables of the paper."""

import pytest

from skeattn.errors import ConfigError
from skeattn.experiments.baselines import baseline_lines, raw_sources
from skeattn.experiments.options import FROZEN
from skeattn.experiments.paper import TABLES
from skeattn.experiments.paper_tables import export
from skeattn.experiments.plan import Cell, add_columns, plan_paper_tables
from tests.conftest import ROOT
from tests.experiments.records import OURS, SMALL, filled, record

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def checkout(monkeypatch):
    monkeypatch.chdir(ROOT)


def raw(top1: float, seed: int = 0, source: str = 'raw', readout: str = 'mean', **changes) -> dict:
    part = {'streams': ['joint'], 'metrics': {'linear/top1': top1}, 'readout': readout}
    return record(OURS, seed, 0.0, checkpoint=None, sources={source: part}, **changes)


def rows(table) -> dict[str, str]:
    """Labels -> text of the last column, of the rows of baselines."""
    labels = len(table.table.headings)
    text = {' '.join(row[:labels]).strip(): row[-1] for row in table.rows}
    return {name: cell for name, cell in text.items() if name.startswith(('raw', 'untrained'))}


@pytest.mark.parametrize(
    ('key', 'labels'),
    [
        ('1', ['raw coordinates|J', *(f'untrained encoder|{stream}' for stream in ('J', 'M', 'B', '3S'))]),
        ('3', ['raw coordinates|J', 'untrained encoder|J', 'untrained encoder|3S']),
        ('4', ['raw coordinates', 'untrained encoder']),
        ('7', ['raw coordinates||', 'untrained encoder||']),
        ('mu', ['raw coordinates', 'untrained encoder']),
        ('5', []),
        ('6', []),
    ],
)
def test_every_table_of_frozen_features_has_them(key: str, labels: list[str]) -> None:
    assert ['|'.join(line.labels) for line in baseline_lines(TABLES[key])] == labels


def test_records_of_raw_coordinates_and_of_encoders_are_told_apart() -> None:
    """The raw clip has the streams, the config and the missing checkpoint of an untrained encoder."""
    untrained = record(OURS, 0, 30.0, checkpoint=None)
    table = filled(raw(85.0), raw(86.0, 1), untrained, record(OURS, 0, 70.0))
    assert rows(table) == {'raw coordinates J': '85.5 ± 0.7 (2)', 'untrained encoder J': '30.0 (1)'}
    assert table.rows[-2][:4] == ['raw coordinates', 'J', '–', '–']  # the paper has no such figure
    with_both = {**record(OURS, 0, 70.0), 'sources': {**raw(85.0)['sources'], **record(OURS, 0, 70.0)['sources']}}
    assert [row[-1] for row in filled(with_both).rows if row[-1] != '–'] == ['70.0 (1)']
    assert 'No records of' not in filled(raw(85.0), untrained, table='7').note


def test_a_table_without_their_records_says_so_and_shows_none() -> None:
    table = filled(record(OURS, 0, 70.0))
    assert rows(table) == {} and len(table.rows) == len(TABLES['1'].lines)
    encoders = ', '.join(f'untrained encoder {stream}' for stream in ('J', 'M', 'B', '3S'))
    assert f'No records of raw coordinates J, {encoders}; skeattn table evaluates them.' in table.note
    assert f'No records of {encoders};' in filled(raw(85.0)).note
    assert 'No row of raw coordinates: the protocol trains an encoder.' in filled(table='6').note


def test_another_readout_has_the_whole_clip_beside_the_clip_read_with_it() -> None:
    options = {**SMALL, 'evaluation.readout': 'joints'}
    both = raw(85.0, source='raw@mean', options=options)
    both['sources'] |= raw(77.0, source='raw@joints', readout='joints')['sources']
    untrained = record(OURS, 0, 30.0, checkpoint=None, options=options)
    untrained['sources'] = {'backbone@joints': {**untrained['sources']['backbone'], 'readout': 'joints'}}
    mean = raw(66.0), record(OURS, 0, 22.0, checkpoint=None)
    assert rows(filled(both, untrained, *mean, overrides={'evaluation.readout': 'joints'})) == {
        'raw coordinates, whole clip J': '85.0 (1)',
        'raw coordinates J': '77.0 (1)',
        'untrained encoder J': '30.0 (1)',
    }
    assert rows(filled(both, untrained, *mean)) == {'raw coordinates J': '66.0 (1)', 'untrained encoder J': '22.0 (1)'}


@pytest.mark.parametrize(
    ('overrides', 'sources'),
    [({}, ('raw',)), ({'evaluation.readout': 'joints'}, ('raw@mean', 'raw@joints'))],
)
def test_they_are_evaluated_without_training_by_the_protocols_of_the_table(overrides: dict, sources: tuple) -> None:
    table = TABLES['1']
    columns = [column for column in add_columns(table, ['demo']) if column.dataset == 'demo']
    lines = baseline_lines(table, overrides.get('evaluation.readout', 'mean'))
    plan = plan_paper_tables([Cell(table, line, columns[0], 'full', overrides) for line in lines], [3])
    assert {(run.trained, run.protocols, run.seed) for run in plan.runs} == {(False, FROZEN, 3)}
    assert [(str(run), run.sources) for run in plan.runs] == [
        ('raw coordinates seed 3', sources),
        *((f'untrained encoder {stream} seed 3', ()) for stream in ('joint', 'motion', 'bone')),
    ]
    (fusion,) = plan.ensembles
    assert str(fusion) == 'fusion of untrained encoder seed 3, linear, joint, bone, motion'


def test_their_exported_records_have_names_of_their_own(tmp_path) -> None:
    table = filled(raw(85.0), record(OURS, 0, 30.0, checkpoint=None), record(OURS, 0, 70.0))
    assert sorted(path.stem.rpartition('32_')[2] for path in export(table, tmp_path)) == [
        'raw_seed0',
        'seed0',
        'untrained_seed0',
    ]


def test_the_whole_clip_is_named_only_beside_another_readout() -> None:
    assert raw_sources(['mean', 'mean']) == ('raw',)
    assert raw_sources(['joints', 'mean', 'joints']) == ('raw@mean', 'raw@joints')
    with pytest.raises(ConfigError, match="unknown readout 'joint'"):
        raw_sources(['joint'])
