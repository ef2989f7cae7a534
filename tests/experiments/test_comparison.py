"""What a comparison runs, and the table that follows from records, written by hand here."""

import dataclasses
import random
from pathlib import Path

import pytest

from skeattn.errors import ConfigError
from skeattn.experiments.comparison import clips_seen, find_configs, make_rows, plan_comparison, render, unequal_clips
from skeattn.experiments.run import Run
from skeattn.results.record import Record, SourceRecord
from tests.experiments.checkout import write_checkout


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch) -> None:
    """Configs of two methods for the data set ``toy``."""
    monkeypatch.chdir(write_checkout(tmp_path))


def test_configs_with_common_settings_come_first(checkout) -> None:
    configs = {
        'skeattnclr': 'configs/skeattnclr/stgcn_toy_common.py',
        'skeletonclr': 'configs/skeletonclr/stgcn_toy.py',
    }
    assert find_configs('toy') == configs
    with pytest.raises(ConfigError, match=r'--dataset tyo: .*; choose from .*toy, toy_common'):
        find_configs('tyo')


@pytest.mark.slow
def test_plan_has_baselines_first_and_then_all_methods_of_a_seed(checkout) -> None:
    with Path('configs/skeletonclr/stgcn_toy.py').open('a') as config:
        config.write("stream = ['joint', 'bone']\n")
    configs, options = find_configs('toy'), {'batch_size': 4}
    runs = plan_comparison(configs, None, [5, 3], options)
    assert [(run.name, run.seed) for run in runs] == [
        ('raw coordinates', 0),
        *(('untrained encoder', seed) for _ in ('joint', 'joint+bone') for seed in (0, 1, 2)),
        *((name, seed) for seed in (5, 3) for name in ('SkeAttnCLR', 'SkeletonCLR')),
    ]
    assert [run.config for run in runs[1:7:3]] == list(configs.values())
    assert {run.cfg.batch_size for run in runs} == {4}
    assert [run.trained for run in runs] == [False] * 7 + [True] * 4


def test_a_method_with_another_backbone_has_its_own_untrained_encoder(checkout) -> None:
    """ST-GCN where a method has it; otherwise its other backbone, beside an untrained encoder with that one."""
    for method in ('mamp', 'skeletonclr'):
        path = Path(f'configs/{method}/transformer_toy.py')
        path.parent.mkdir(exist_ok=True)
        path.write_text(Path('configs/skeletonclr/stgcn_toy.py').read_text())
    configs = find_configs('toy')
    assert list(configs) == ['mamp', 'skeattnclr', 'skeletonclr']
    assert configs['mamp'] == 'configs/mamp/transformer_toy.py'
    assert configs['skeletonclr'] == 'configs/skeletonclr/stgcn_toy.py'
    baselines = [run for run in plan_comparison(configs, None, [0], {}) if not run.trained]
    assert [(run.name, run.config) for run in baselines[1::3]] == [
        ('untrained encoder, Transformer', configs['mamp']),
        ('untrained encoder', configs['skeattnclr']),
    ]


def test_a_method_starts_from_the_run_of_another_with_the_same_seed(checkout) -> None:
    path = Path('configs/stars/transformer_toy.py')
    path.parent.mkdir()
    text = Path('configs/skeletonclr/stgcn_toy.py').read_text()
    path.write_text(f"{text}load_from = 'work_dirs/skeletonclr/stgcn_toy'\n")
    runs = plan_comparison(find_configs('toy'), ['stars'], [0, 1], {})
    trained = [run for run in runs if run.trained]
    assert [(run.name, run.seed) for run in trained] == [
        *(('SkeletonCLR', 0), ('stars', 0)),
        *(('SkeletonCLR', 1), ('stars', 1)),
    ]
    assert [run.start for run in trained] == [None, trained[0], None, trained[2]]
    assert len({run.digest for run in trained}) == 4
    ((_, command), _) = trained[1].steps(Path('runs'))
    assert f'load_from={trained[0].folder(Path("runs"))}' in command


def test_raw_coordinates_stand_once_for_every_pipeline(checkout) -> None:
    with Path('configs/skeletonclr/stgcn_toy.py').open('a') as config:
        config.write("dataset['pipeline']['resample']['num_frames'] = 8\n")
    configs = find_configs('toy')
    baselines = [run for run in plan_comparison(configs, None, [0], {}) if not run.trained]
    assert [(run.name, run.config, run.seed) for run in baselines[:2]] == [
        ('raw coordinates', configs['skeattnclr'], 0),
        ('raw coordinates, clips of SkeletonCLR', configs['skeletonclr'], 0),
    ]
    assert baselines[1].sources == ('raw',) and baselines[2].name == 'untrained encoder'
    assert len({run.digest for run in baselines[:2]}) == 2


def test_gain_is_over_the_untrained_encoder_with_the_same_backbone() -> None:
    def of(backbone: str, record: Record) -> Record:
        return dataclasses.replace(record, config=f'configs/x/{backbone}_toy.py')

    rows = make_rows(
        [
            of('stgcn', record('A', 0, 60.0, training=trained(1.0))),
            of('transformer', record('B', 0, 50.0, training=trained(1.0))),
            of('stgcn', record('untrained', 0, 30.0)),
            of('transformer', record('untrained, Transformer', 0, 45.0)),
        ]
    )
    gains = {row.name: row.gain for row in rows}
    assert gains == {'A': 30.0, 'B': 5.0, 'untrained': None, 'untrained, Transformer': None}


def test_fewer_methods_have_the_same_baselines(checkout) -> None:
    configs = find_configs('toy')
    every, some = (plan_comparison(configs, methods, [0], {}) for methods in (None, ['skeletonclr']))
    assert some == [*every[:4], every[5]]
    with pytest.raises(ConfigError, match='--methods moco: no config for it; choose from skeattnclr, skeletonclr'):
        plan_comparison(configs, ['moco'], [0], {})


def test_methods_that_see_different_numbers_of_clips_are_named(checkout) -> None:
    runs = plan_comparison(find_configs('toy'), None, [0], {})
    assert [run.iterations for run in runs if run.trained] == [3 * 3] * 2
    assert unequal_clips(runs) is None and unequal_clips(runs[:1]) is None
    own = Run('SkeAttnCLR', 'configs/skeattnclr/stgcn_toy.py', options={'max_iters': 20})
    text = 'methods see different numbers of clips in training: SkeAttnCLR 160, SkeletonCLR 72'
    assert unequal_clips([own, runs[-1]]) == text


def record(name: str, seed: int, linear: float, streams=('joint',), training: dict | None = None, **sources) -> Record:
    """A record of one source of features, and of others on request."""
    metrics = {'knn/top1_k1': linear - 20, 'knn/top1_k20': linear - 10, 'linear/top1': linear}
    part = {'streams': list(streams), 'metrics': metrics, 'parameters': 2_000_000, 'gmacs': 0.5}
    about = {'version': 1, 'name': name, 'data': 'set', 'split': 'xsub', 'stream': 'joint', 'seed': seed}
    return Record.from_dict({**about, 'training': training, 'sources': {'backbone': part, **sources}})


def raw(linear: float) -> Record:
    """A record of the coordinates."""
    return dataclasses.replace(
        record('raw', 0, linear), sources={'raw': SourceRecord(**part(('joint',), 0, linear__top1=linear))}
    )


def trained(seconds: float, clips: int = 1200) -> dict:
    return {'clips_seen': clips, 'seconds_per_epoch': seconds, 'gmacs': 3.25, 'parameters': 3_000_000}


def part(streams: tuple, parameters: int = 1_000_000, **metrics: float) -> dict:
    renamed = {key.replace('__', '/'): value for key, value in metrics.items()}
    return {'streams': list(streams), 'metrics': renamed, 'parameters': parameters, 'gmacs': 0.25}


THREE = ('joint', 'motion', 'bone')
RECORDS = [
    record('A', 0, 60.0, training=trained(10.0)),
    record('A', 1, 64.0, training=trained(14.0)),
    record('B', 0, 70.0, THREE, trained(30.0), **{'joint/backbone': part(('joint',), linear__top1=55.0)}),
    record('S', 0, 80.0, training=trained(9.0), logits=part(('joint',), topk__top1=81.5)),
    *(record('untrained', seed, 30.0 + seed) for seed in range(3)),
    *(record('untrained', seed, 40.0 + seed, THREE) for seed in range(3)),
    raw(50.0),
]

TABLE = """\
                    streams                     KNN          KNN       linear    gain    parameters      GMACs    GMACs    s/epoch  seeds
                                                K=1         K=20   last epoch                     M    encoder     step
------------------  -----------------  ------------ ------------ ------------  ------  ------------  ---------  -------  ---------  -------
S, own classifier   joint                                                81.5   +50.5         1.000      0.250    3.250        9.0  0
S                   joint                      60.0         70.0         80.0   +49.0         2.000      0.500    3.250        9.0  0
B                   joint+motion+bone          50.0         60.0         70.0   +29.0         2.000      0.500    3.250       30.0  0
A                   joint                42.0 ± 2.8   52.0 ± 2.8   62.0 ± 2.8   +31.0         2.000      0.500    3.250       12.0  0 1
B                   joint                                                55.0   +24.0         1.000      0.250    3.250       30.0  0
raw                 joint                                                50.0                                                       0
untrained           joint+motion+bone    21.0 ± 1.0   31.0 ± 1.0   41.0 ± 1.0                 2.000      0.500                      0 1 2
untrained           joint                11.0 ± 1.0   21.0 ± 1.0   31.0 ± 1.0                 2.000      0.500                      0 1 2
"""  # noqa: E501


def cells(table: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines() if not line.startswith('-')]


def test_table_of_records_made_by_hand() -> None:
    """Best linear accuracy first; gain over the untrained encoder on the same streams; mean and sample deviation."""
    assert cells(render(make_rows(RECORDS))) == cells(TABLE)


def test_the_order_of_the_records_does_not_matter() -> None:
    shuffled = random.Random(2).sample(RECORDS, len(RECORDS))
    assert render(make_rows(shuffled)) == render(make_rows(RECORDS))


def test_markdown_has_one_line_per_row() -> None:
    lines = render(make_rows(RECORDS), 'github').splitlines()
    assert len(lines) == 2 + 8
    assert 'KNN K=20' in lines[0] and '62.0 ± 2.8' in lines[5]


def test_without_untrained_rows_there_is_no_gain() -> None:
    assert [row.gain for row in make_rows(RECORDS[:2])] == [None]


def test_a_training_without_logs_has_no_time() -> None:
    training = {'gmacs': 1.0, 'parameters': 5}
    (row,) = make_rows([record('A', 0, 60.0, training=training)])
    assert (row.seconds_per_epoch, row.clips_seen, row.step_gmacs) == (None, [], 1.0)


def test_clips_seen_are_said_and_compared() -> None:
    assert clips_seen(make_rows(RECORDS)) == 'Every method drew 1200 clips in training.'
    assert clips_seen(make_rows(RECORDS[4:])) == 'Nothing was trained.'
    more = [*RECORDS[:2], record('C', 0, 60.0, training=trained(1.0, clips=2400))]
    line = 'The methods drew different numbers of clips in training: A 1200, C 2400.'
    assert clips_seen(make_rows(more)) == line


def of(readout: str, record: Record) -> Record:
    """The record with another readout."""
    sources = {f'{key}@{readout}': dataclasses.replace(part, readout=readout) for key, part in record.sources.items()}
    return dataclasses.replace(record, sources=sources)


def test_readouts_have_separate_tables_and_gains_and_raw_coordinates_stand_in_each() -> None:
    records = [RECORDS[0], record('untrained', 0, 30.0), raw(50.0)]
    others = [of('joints', record('A', 0, 90.0, training=trained(10.0))), of('joints', record('untrained', 0, 55.0))]
    rows = make_rows([*records, *others, of('joints', raw(60.0))])
    assert {(row.name, row.readout): row.gain for row in rows if row.gain is not None} == {
        ('A', 'mean'): 30.0,
        ('A', 'joints'): 35.0,
    }
    joints, mean = render(rows).split('\n\n')
    assert joints.startswith('readout') and joints.splitlines()[1].startswith('joints')
    assert [line.split('  ')[0] for line in joints.splitlines()[-4:]] == ['A', 'raw', 'untrained', 'raw, whole clip']
    assert mean == render(make_rows(records))


def test_a_comparison_with_a_readout_has_raw_coordinates_whole_and_read(checkout) -> None:
    plan = plan_comparison(find_configs('toy'), None, [0], {'evaluation.readout': 'joints'})
    assert plan[0].sources == ('raw@mean', 'raw@joints')
    assert '-joints-' in plan[-1].evaluation_id and plan[-1].evaluation_id.startswith('knn_linear_probe-')


def test_other_protocols_are_those_of_all_rows_and_the_probe_has_a_column(checkout) -> None:
    plan = plan_comparison(find_configs('toy'), None, [0], {}, ['knn', 'probe'])
    assert {run.protocols for run in plan} == {('knn', 'probe')}
    row = record('A', 0, 60.0)
    part = dataclasses.replace(row.sources['backbone'], metrics={'knn/top1_k1': 40.0, 'probe/top1': 66.6})
    lines = render(make_rows([dataclasses.replace(row, sources={'backbone': part})]), 'github').splitlines()
    assert [cell.strip() for cell in lines[0].split('|')][3:7] == [
        'KNN K=1',
        'KNN K=20',
        'linear last epoch',
        'probe top-1',
    ]
    assert [cell.strip() for cell in lines[2].split('|')][3:7] == ['40.0', '', '', '66.6']


def test_the_spread_over_probe_seeds_stands_beside_the_linear_probe() -> None:
    runs = [record('A', seed, 60.0) for seed in (0, 1)]
    for run, spread in zip(runs, (1.0, 3.0), strict=True):
        run.sources['backbone'].metrics['linear/top1_std'] = spread
    lines = render(make_rows(runs), 'github').splitlines()
    shown = dict(zip(*([cell.strip() for cell in lines[i].split('|')] for i in (0, 2)), strict=True))
    assert shown['linear ± probe seeds'] == '2.0 ± 1.4' and shown['linear last epoch'] == '60.0 ± 0.0'


def test_rows_without_copies_follow_the_others_and_have_their_own_gain() -> None:
    def copied(name: str, linear: float, without: float, **more) -> Record:
        one = record(name, 0, linear, **more)
        source = dataclasses.replace(one.sources['backbone'], metrics_without_copies={'linear/top1': without})
        return dataclasses.replace(one, sources={'backbone': source})

    rows = make_rows([copied('A', 60.0, 55.0, training=trained(1.0)), copied('untrained', 30.0, 15.0)])
    assert [(row.name, row.without_copies, row.metrics['linear/top1'], row.gain) for row in rows] == [
        ('A', False, [60.0], 30.0),
        ('untrained', False, [30.0], None),
        ('A', True, [55.0], 40.0),
        ('untrained', True, [15.0], None),
    ]
    assert [line.split('  ')[0] for line in render(rows).splitlines()[3:]] == [
        'A', 'untrained', 'A, without copies', 'untrained, without copies',
    ]  # fmt: skip
