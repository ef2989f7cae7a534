"""The tables in the docs are what the committed records give."""

import json
from pathlib import Path
from statistics import mean, stdev

import pytest

from skeattn.evaluation.mask_motion import caption
from skeattn.experiments.comparison import make_rows, render
from skeattn.experiments.paper_tables import fill, read_records
from skeattn.experiments.plan import find_table
from skeattn.results.class_gain import class_gains, gains_table
from skeattn.results.record import Record, read
from skeattn.results.recorded import read_result
from skeattn.results.report import metrics_table, protocol_tables
from tests.conftest import ROOT
from tests.engine.toy import tool

RESULTS = ROOT / 'docs/results'
COMPARISONS = sorted(folder for folder in RESULTS.glob('compare_*') if folder.is_dir())
OVERRIDES = {
    'table1_nwucla_xview': {'evaluation.readout': 'joints'},
    'table7_demo': {'evaluation.readout': 'joints'},
    'tablenegatives_demo': {'evaluation.readout': 'joints'},
}
PROTOCOLS = {'table1_nwucla_xview': 'probe', 'table7_demo': 'probe'}
TABLES = sorted(folder for folder in RESULTS.glob('table*_*') if folder.is_dir())


def records(folder: Path) -> list[Record]:
    return [read(path) for path in sorted(folder.glob('*.json'))]


def test_there_are_comparisons():
    assert COMPARISONS


@pytest.mark.parametrize('folder', COMPARISONS, ids=lambda folder: folder.name)
def test_the_comparison_in_the_docs_is_rendered_from_its_records(folder):
    table = render(make_rows(records(folder)), 'github')
    assert table in (RESULTS / 'README.md').read_text()


@pytest.mark.slow
@pytest.mark.parametrize('folder', TABLES, ids=lambda folder: folder.name)
def test_the_table_in_the_docs_is_rendered_from_its_records(folder, monkeypatch):
    """As ``tools/tables.py KEY --records FOLDER --format github`` prints it; all its records are used."""
    monkeypatch.chdir(ROOT)
    key = folder.name.removeprefix('table').partition('_')[0]
    found = read_records([folder])
    table = fill(find_table(key, PROTOCOLS.get(folder.name)), found, overrides=OVERRIDES.get(folder.name))
    assert table.used == sorted(found)
    assert table.render('github') in (RESULTS / 'README.md').read_text()


def test_the_gains_by_class_are_rendered_from_their_records():
    folder, runs = RESULTS / 'table1_nwucla_xview', 'stgcn_nwucla_xview_num_frames_32_readout_joints_knn_linear_probe'
    baseline, ours = (
        [read_result(path, 'probe') for path in sorted(folder.glob(f'{method}_{runs}_seed*.json'))]
        for method in ('skeletonclr', 'skeattnclr')
    )
    assert len(baseline) == len(ours) == 3
    table = gains_table(class_gains(baseline, ours), 'SkeletonCLR', 'SkeAttnCLR', 'github')
    assert table in (RESULTS / 'README.md').read_text()


def test_the_supervised_encoders_are_rendered_from_their_records_and_pass_85_percent():
    rows = make_rows(records(RESULTS / 'supervised_nwucla_xview'))
    assert render(rows, 'github') in (RESULTS / 'README.md').read_text()
    own = [mean(row.metrics['linear/top1']) for row in rows if row.name.endswith('own classifier')]
    assert len(own) == 2 and min(own) >= 85


def test_what_lost_joints_cost_is_rendered_from_the_records() -> None:
    """With a tenth of the joints lost and filled, raw coordinates (whole clips) and an encoder stay within 3 points."""
    rows = make_rows(records(RESULTS / 'lost_joints_demo'))
    assert render(rows, 'github') in (RESULTS / 'README.md').read_text()
    knn = {
        row.name: mean(row.metrics['knn/top1_k1'])
        for row in rows
        if row.readout is None or not row.name.startswith('raw coordinates')
    }
    for kind in ('', 'raw coordinates, '):
        filled, not_filled, whole = (
            knn[kind + what] for what in ('a tenth lost, filled', 'a tenth lost, not filled', 'no joint lost')
        )
        assert filled > whole - 3 and not_filled < whole - 6


def every_protocol() -> dict[str, dict[str, float]]:
    """Row -> metric of any protocol on UTD-MHAD -> mean over seeds."""
    found: dict[str, dict[str, list[float]]] = {}
    for record in records(RESULTS / 'protocols_utdmhad_xsub'):
        for source, part in record.sources.items():
            row = found.setdefault(record.name + (', whole clip' if source == 'raw' else ''), {})
            for metric, value in part.metrics.items():
                row.setdefault(metric, []).append(value)
    rows = ('raw coordinates, whole clip', 'raw coordinates', 'untrained encoder', 'SkeAttnCLR')
    return {row: {metric: mean(values) for metric, values in found[row].items()} for row in rows}


def test_every_protocol_on_utd_mhad_is_rendered_from_its_records():
    tables = protocol_tables(every_protocol(), 'joints')
    assert len(tables) == 7 and '\n\n'.join(tables) in (RESULTS / 'README.md').read_text()


def test_the_streams_and_their_fusion_are_rendered_from_their_records() -> None:
    """SkeAttnCLR is above SkeletonCLR, and both above the baselines, on all test clips and without the copies."""
    rows = make_rows(records(RESULTS / 'table1_nwucla_xview'))
    assert render(rows, 'github') in (RESULTS / 'README.md').read_text()
    number = {
        (row.name, row.streams, row.without_copies): {key: mean(values) for key, values in row.metrics.items()}
        for row in rows
    }
    for without in (False, True):
        for streams in {row.streams for row in rows if row.name == 'SkeAttnCLR'}:
            ours, baseline, untrained = (
                number[name, streams, without] for name in ('SkeAttnCLR', 'SkeletonCLR', 'untrained encoder')
            )
            for metric in ours.keys() & {'knn/top1_k1', 'knn/top1_heldout', 'probe/top1'}:
                assert ours[metric] > baseline[metric] > untrained[metric]


def test_a_fusion_has_weights_chosen_on_held_out_subjects():
    fusions = [record for record in records(RESULTS / 'table1_nwucla_xview') if record.ensemble]
    assert len(fusions) == 9 and {record.ensemble.selection for record in fusions} == {'heldout'}


@pytest.mark.parametrize('folder', COMPARISONS, ids=lambda folder: folder.name)
def test_all_methods_drew_the_same_number_of_clips(folder):
    drawn = {record.training.clips_seen for record in records(folder) if record.training}
    assert len(drawn) == 1


@pytest.mark.parametrize('folder', COMPARISONS, ids=lambda folder: folder.name)
def test_every_method_beats_the_untrained_encoder_by_five_points(folder):
    gains = {(row.name, row.streams): row.gain for row in make_rows(records(folder)) if row.step_gmacs}
    assert gains and all(gain >= 5 for gain in gains.values()), gains


@pytest.mark.parametrize('page', ['README.md', 'docs/results/README.md'])
def test_a_page_shows_what_the_quick_start_printed(page: str):
    record, module = json.loads((RESULTS / 'quickstart' / 'results.json').read_text()), tool('quickstart')
    assert metrics_table(record['metrics'], module.COLUMNS, record['readout']) in (ROOT / page).read_text()


def test_the_caption_of_the_mask_is_worded_by_its_correlation_with_movement():
    masks = json.loads((RESULTS / 'quickstart' / 'results.json').read_text())['mask_motion']
    text = caption(*(masks[name]['correlation'] for name in ('untrained', 'trained')))
    assert text in ' '.join((ROOT / 'README.md').read_text().split())


def test_records_name_no_machine_and_no_path_outside_the_checkout():
    for path in RESULTS.rglob('*.json'):
        text = path.read_text()
        assert '"/' not in text and 'hostname' not in text, path


def test_the_longer_supervised_run_is_rendered_from_its_record() -> None:
    rows = make_rows(records(RESULTS / 'supervised_100_nwucla_xview'))
    assert render(rows, 'github') in (RESULTS / 'README.md').read_text()
    assert max(row.metrics['probe/top1'][0] for row in rows if 'probe/top1' in row.metrics) >= 90


@pytest.mark.slow
def test_the_negatives_by_nearest_neighbours_are_rendered_from_their_records(monkeypatch) -> None:
    """With a trained mask, every seed of matched negatives is above the queue's and above raw coordinates."""
    monkeypatch.chdir(ROOT)
    folder, overrides = RESULTS / 'tablenegatives_demo', OVERRIDES['tablenegatives_demo']
    table = fill(find_table('negatives', 'knn'), read_records([folder]), overrides=overrides)
    assert table.render('github') in (RESULTS / 'README.md').read_text()
    trained = [record for record in records(folder) if record.checkpoint]
    for metric, raw in (('knn/top1_k1', 58.8), ('probe/top1', 88.4)):
        matched, queue = (
            [next(iter(r.sources.values())).metrics[metric] for r in trained if r.cfg_options.keys() == {*names}]
            for names in (('evaluation.readout',), ('evaluation.readout', 'model.negatives'))
        )
        assert len(matched) == len(queue) == 3
        assert min(matched) > max(*queue, raw)


@pytest.mark.parametrize('folder', ['precision_demo', 'since_2023_demo', 'since_2023_nwucla_xview'])
def test_a_comparison_under_other_conditions_is_rendered_from_its_records(folder: str) -> None:
    """Precisions, and methods that draw different numbers of clips; all with baselines and three seeds."""
    rows = make_rows(records(RESULTS / folder))
    assert render(rows, 'github') in (RESULTS / 'README.md').read_text()
    assert {tuple(row.seeds) for row in rows if row.parameters} == {(0, 1, 2)}
    assert {'raw coordinates', 'untrained encoder'} <= {row.name for row in rows}
    untrained = {row.backbone for row in rows if row.name.startswith('untrained encoder')}
    assert {row.backbone for row in rows if row.step_gmacs} <= untrained


def test_four_times_the_width_gains_nothing() -> None:
    """Fewer than three seeds of SkeAttnCLR, which the page says; without copies, by the probe."""
    rows = make_rows(records(RESULTS / 'width64_nwucla_xview'))
    assert render(rows, 'github') in (RESULTS / 'README.md').read_text()
    wide = {row.name: mean(row.metrics['probe/top1']) for row in rows if row.without_copies}
    narrow = {
        row.name: mean(row.metrics['probe/top1'])
        for row in make_rows(records(RESULTS / 'table1_nwucla_xview'))
        if row.without_copies and row.streams == ('joint',)
    }
    assert (
        wide['SkeAttnCLR'] < wide['SkeletonCLR'] < narrow['SkeletonCLR'] + 1
        and wide['SkeAttnCLR'] < narrow['SkeAttnCLR']
    )


def test_the_precisions_end_within_the_spread_of_each_other() -> None:
    rows = {row.name: row for row in make_rows(records(RESULTS / 'precision_demo'))}
    for metric in ('knn/top1_k1', 'probe/top1'):
        single = rows['SkeAttnCLR, single precision'].metrics[metric]
        assert min(single) <= mean(rows['SkeAttnCLR, bfloat16'].metrics[metric]) <= max(single)


def test_methods_since_2023_on_the_embedded_set_are_quoted_from_their_records() -> None:
    """PSTL gains more than five points; MAMP and STARS are below their untrained encoder and their own clips."""
    rows = make_rows(records(RESULTS / 'since_2023_demo'))
    number = {
        (row.name, row.readout is None): tuple(mean(row.metrics[metric]) for metric in ('knn/top1_k1', 'probe/top1'))
        for row in rows
    }
    ours, start = number['PSTL', False], number['untrained encoder', False]
    words = ' '.join((RESULTS / 'README.md').read_text().split())
    assert f'**PSTL** is {ours[0] - start[0]:.1f} points above' in words
    assert f'encoder by K = 1 and {ours[1] - start[1]:.1f} by `probe`' in words
    assert ours[0] - start[0] >= 5 and ours[1] - start[1] >= 5
    start, clips = number['untrained encoder, Transformer', False], number['raw coordinates, clips of MAMP', True]
    losing = [number[name, False] for name in ('MAMP', 'STARS')]
    assert all(max(one[i] for one in losing) < min(start[i], clips[i]) for i in (0, 1))
    (knn, probe), (tuned_knn, tuned_probe) = losing
    assert f'{knn:.1f} and {tuned_knn:.1f} by K = 1 and {probe:.1f} and {tuned_probe:.1f} by `probe`' in words
    assert f'the untrained Transformer {start[0]:.1f} and {start[1]:.1f}.' in words
    turned = number['raw coordinates', True]
    assert f'{turned[0] - clips[0]:.1f} points by K = 1 and {turned[1] - clips[1]:.1f} by `probe`' in words


@pytest.mark.parametrize(('folder', 'gain'), [('since_2023_demo', (5, 6)), ('since_2023_nwucla_xview', (-1, 0))])
def test_self_distillation_is_quoted_from_its_records(folder: str, gain: tuple[int, int]) -> None:
    """Above its untrained encoder on the embedded set by the probe, not on NW-UCLA; on both pages, three seeds each."""
    rows = make_rows(records(RESULTS / folder))
    trained, untrained = (
        next(row for row in rows if row.name == name and not row.without_copies)
        for name in ('SLiM', 'untrained encoder, rotary Transformer')
    )
    assert trained.seeds == untrained.seeds == [0, 1, 2]
    (knn, knn_start), (probe, probe_start) = (
        [mean(row.metrics[metric]) for row in (trained, untrained)] for metric in ('knn/top1_k1', 'probe/top1')
    )
    assert gain[0] < probe - probe_start < gain[1]
    quoted = f'{probe:.1f} by `probe` and {knn:.1f} by K = 1, untrained {probe_start:.1f} and {knn_start:.1f}'
    for page in (RESULTS / 'README.md', ROOT / 'configs/slim/README.md'):
        assert quoted in ' '.join(page.read_text().split())


@pytest.mark.parametrize('dataset', ['nwucla_xview', 'utdmhad_xsub'])
def test_an_unseen_layout_gains_nothing_as_its_tables_say(dataset: str) -> None:
    """Rendered from the records; three seeds, whose mean is below the untrained encoder."""
    rows = make_rows(records(RESULTS / f'unseen_layout_{dataset}'))
    page = (RESULTS / 'README.md').read_text()
    assert render(rows, 'github') in page
    trained, untrained = (
        next(row for row in rows if row.name.startswith(name) and not row.without_copies)
        for name in ('MAMP', 'untrained encoder')
    )
    assert trained.seeds == untrained.seeds == [0, 1, 2]
    for metric in ('knn/top1_k1', 'probe/top1'):
        ours, start = mean(trained.metrics[metric]), mean(untrained.metrics[metric])
        assert ours < start and f'{ours:.1f}' in page and f'{start:.1f}' in page


@pytest.mark.parametrize('dataset', ['nwucla_xview', 'utdmhad_xsub'])
def test_one_encoder_for_both_sets_is_as_good_as_one_each(dataset: str) -> None:
    """Within the spread of the seeds, and far above its baselines; the differences are quoted from the records."""
    rows = make_rows(records(RESULTS / f'both_sets_{dataset}'))
    page = (RESULTS / 'README.md').read_text()
    assert render(rows, 'github') in page
    both, alone, untrained = (
        next(row for row in rows if row.name == name and not row.without_copies)
        for name in ('SkeAttnCLR, both sets', 'SkeAttnCLR', 'untrained encoder')
    )
    assert both.seeds == alone.seeds == untrained.seeds == [0, 1, 2]
    for metric in ('knn/top1_k1', 'probe/top1'):
        ours, own = both.metrics[metric], alone.metrics[metric]
        assert abs(mean(ours) - mean(own)) <= max(stdev(ours), stdev(own))
        gain = mean(ours) - mean(untrained.metrics[metric])
        assert gain > 5 and f'{gain:.1f}' in page
