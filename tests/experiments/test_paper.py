"""The paper's figures as data, against the reference's own tables."""

import json
import re

import pytest

from skeattn.engine.config import read_config
from skeattn.errors import ConfigError
from skeattn.experiments.options import CELL_METRICS, FROZEN
from skeattn.experiments.paper import TABLES
from skeattn.experiments.paper_tables import FilledTable
from skeattn.experiments.plan import Cell, add_columns, find_table, plan_paper_tables
from tests.conftest import ROOT, shared_path
from tests.engine.toy import write_set
from tests.experiments.records import record

pytestmark = pytest.mark.slow


def cells(key: str, dataset: str) -> list[Cell]:
    """All that is run for a data set."""
    table = TABLES[key]
    columns = [column for column in add_columns(table, [dataset]) if column.dataset == dataset]
    return [Cell(table, line, column) for line in table.lines if line.method for column in columns]


def printed(text: str) -> dict[str, list[list[str]]]:
    """Table number -> the cells of its rows."""
    sections = re.findall(r'^## Table (\d).*?\n(.*?)(?=^## |\Z)', text, re.MULTILINE | re.DOTALL)
    return {
        number: [[cell.strip() for cell in line.strip('|').split('|')] for line in body.splitlines() if '|' in line][2:]
        for number, body in sections
    }


def number(cell: str) -> float | None:
    return None if cell == '–' else float(cell)


@pytest.mark.parametrize('key', list('1234567'))
def test_every_figure_is_the_papers(key: str) -> None:
    table = TABLES[key]
    rows = printed(shared_path('reference/paper_tables.md').read_text())[key]
    count = len(table.columns)
    assert [list(line.figures) for line in table.lines] == [[number(cell) for cell in row[-count:]] for row in rows]
    doubtful = [any('[?]' in cell for cell in row) for row in rows]
    assert [line.doubtful for line in table.lines] == doubtful
    assert all(len(line.labels) == len(table.headings) for line in table.lines)


@pytest.mark.parametrize('key', ['mu', 'lambda', 'heads'])
@pytest.mark.parametrize('dataset', ['nwucla_xview', 'demo', 'ntu60_xsub'])
def test_a_sweep_does_not_override_what_the_config_says_anyway(key: str, dataset: str, monkeypatch) -> None:
    """So that this value is trained once, for all tables."""
    monkeypatch.chdir(ROOT)
    model = read_config(f'configs/skeattnclr/stgcn_{dataset}.py').model
    default = {'mu': model.mu, 'lambda': model.mhsam.lam, 'heads': model.mhsam.num_heads}[key]
    labels = [cell.line.labels[0] for cell in cells(key, dataset) if not cell.options]
    assert len(labels) == 1 and labels[0].endswith(f' = {default:g}')


@pytest.mark.parametrize('protocol', CELL_METRICS)
def test_a_table_of_frozen_features_takes_another_protocol_and_then_has_no_figures_of_the_paper(protocol: str) -> None:
    table = find_table('1')
    ours = find_table('1', protocol)
    if protocol == table.protocol:
        assert ours is table and any(line.figures for line in ours.lines)
    else:
        assert (ours.protocol, ours.metric) == (protocol, CELL_METRICS[protocol])
        assert [line.labels for line in ours.lines] == [line.labels for line in table.lines if line.method]
        assert not any(line.figures for line in ours.lines)
    assert find_table('1', None) is table


@pytest.mark.parametrize('key', ['5', '6'])
def test_a_table_that_trains_the_encoder_keeps_its_protocol(key: str) -> None:
    with pytest.raises(ConfigError, match='--protocol probe: the rows of this table train the encoder'):
        find_table(key, 'probe')


@pytest.mark.parametrize('dataset', ['demo', 'nwucla_xview'])
def test_negatives_are_compared_on_a_small_set_by_one_change_each(dataset: str, monkeypatch) -> None:
    """The config of a small set has matched negatives and trains the mask: that row is the run of the other tables."""
    monkeypatch.chdir(ROOT)
    changes = {cell.line.labels: cell.options for cell in cells('negatives', dataset)}
    assert changes['matched', 'trained'] == {}
    assert changes['queue (paper)', 'trained'] == {'model.negatives': 'queue'}
    assert changes['matched', 'frozen'] == {'model.mask_gradient': False}
    assert all(
        len(change) == 1
        for labels, change in changes.items()
        if labels != ('matched', 'trained') and labels[0] == 'matched'
    )


def test_every_number_of_a_table_has_its_own_runs() -> None:
    for table in TABLES.values():
        lines = [line for line in table.lines if line.method]
        identities = [
            (line.method, line.streams, str(line.options), line.protocol, line.variants, line.trained) for line in lines
        ]
        assert len(set(identities)) == len(lines)


def test_a_finished_run_fills_its_cell_whatever_overrides_without_effect_were_written(tmp_path, monkeypatch) -> None:
    (tmp_path / 'configs').symlink_to(ROOT / 'configs')
    write_set(tmp_path / 'data/demo')
    monkeypatch.chdir(tmp_path)
    table, (line,) = TABLES['4'], [line for line in TABLES['4'].lines if line.method == 'skeletonclr']
    columns = [column for column in add_columns(table, ['demo']) if column.dataset == 'demo']

    def plan_with(**overrides):
        options = {key.replace('__', '.'): value for key, value in overrides.items()}
        return plan_paper_tables([Cell(table, line, columns[0], 'full', options)], [0]), options

    (plan, _), (again, options) = plan_with(evaluation__interval=99), plan_with(evaluation__interval=98, stream='joint')
    (run,) = plan.runs
    path = run.path(tmp_path)
    metrics = {f'{table.protocol}/{table.metric}': 13.0}
    content = record(run.config, 0, 0.0, options={'evaluation.interval': '99'})
    content['sources']['backbone']['metrics'] = metrics
    path.parent.mkdir()
    path.write_text(json.dumps(content))
    filled = FilledTable(table, columns, again.records(tmp_path), ['demo'], ['full'], options)
    assert again.runs[0].path(tmp_path) == path and '13.0 (1)' in filled.render()


@pytest.mark.parametrize(
    'key', ['1', '7', *(pytest.param(key, marks=pytest.mark.slow) for key in ('3', '4', 'mu', 'heads'))]
)
def test_tables_of_frozen_features_share_their_runs(key: str, monkeypatch) -> None:
    """Ours with the paper's options is the same run in all of them."""
    monkeypatch.chdir(ROOT)
    plan = plan_paper_tables(cells(key, 'demo'), [0])
    assert {run.protocols for run in plan.runs} == {FROZEN}
    assert any(run.config == 'configs/skeattnclr/stgcn_demo.py' and not run.options for run in plan.runs)
    assert len(plan.runs) == {'1': 6, '3': 16, '4': 5, '7': 4, 'mu': 5, 'heads': 5}[key]
    assert len(plan.ensembles) == {'1': 2, '3': 5}.get(key, 0)


def test_a_method_that_trains_its_streams_together_is_fused_by_itself(monkeypatch) -> None:
    """On frozen features one run has both rows; fine-tuning takes one encoder at a time."""
    monkeypatch.chdir(ROOT)
    frozen = [cell for cell in cells('3', 'demo') if cell.line.method == 'crossclr']
    plan = plan_paper_tables(frozen, [0])
    assert len(plan.runs) == 1 and not plan.ensembles and not plan.runs[0].options
    tuned = [cell for cell in cells('5', 'demo') if cell.line.method == 'crossclr'][:1]
    plan = plan_paper_tables(tuned, [0])
    assert [run.options for run in plan.runs] == [
        {'protocols.semi01.stream': stream} for stream in ('joint', 'bone', 'motion')
    ]
    assert len(plan.ensembles) == 1
