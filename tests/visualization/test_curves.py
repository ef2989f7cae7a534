from pathlib import Path

import pytest
from matplotlib.figure import Figure

from skeattn.errors import DataError
from skeattn.visualization import curves
from skeattn.visualization.curves import (
    _widen,
    band,
    draw_curves,
    draw_losses,
    draw_series,
    logged,
    read_log,
    read_logs,
)
from tests.visualization.logs import write_log, write_resumed_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_resumed_run(tmp_path)


def test_a_resumed_run_is_one_curve_and_the_later_value_stands(run: Path) -> None:
    log = read_log(run)
    assert log.val == {'knn/top1_k1': {1.0: 30.0, 2.0: 40.0}, 'linear/top1': {2.0: 50.0}}
    assert log.train['loss'] == {0.5: 9.0, 1.0: 8.0, 1.5: 7.0, 2.0: 6.0}
    assert set(log.train) == {'loss', 'L_s'}


@pytest.mark.slow
def test_curves_are_drawn_and_the_same_log_gives_the_same_picture(run: Path, tmp_path: Path) -> None:
    pictures = [
        draw_curves({'run': run, 'again': run}, tmp_path / f'{i}' / 'c.png', levels={'raw': 35.0}).read_bytes()
        for i in (1, 2)
    ]
    assert pictures[0] == pictures[1] and pictures[0].startswith(b'\x89PNG')


def test_what_is_missing_is_named(run: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"'knn/top1_k7' was not logged; choose from knn/top1_k1, linear/top1"):
        draw_curves({'run': run}, tmp_path / 'c.png', metric='knn/top1_k7')
    with pytest.raises(DataError, match='work_dir of a training run'):
        read_log(tmp_path / 'nowhere')
    write_log(tmp_path / 'damaged', 'stamp', [])
    for line in ('{"st', '3', '{"step": "x"}', '{"iter": 4, "epoch": 0}', '[' * 100_000):
        (tmp_path / 'damaged/stamp/vis_data/scalars.json').write_text(f'{{"step": 1}}\n{line}\n')
        with pytest.raises(DataError, match=r'scalars.json, line 2 is no line of a log'):
            read_log(tmp_path / 'damaged')


def test_a_last_line_that_a_kill_has_cut_does_not_count(tmp_path: Path) -> None:
    write_log(tmp_path, 'stamp', [{'knn/top1': 50.0, 'step': 1}])
    with open(tmp_path / 'stamp/vis_data/scalars.json', 'a') as file:
        file.write('{"knn/top1": 60.0, "st')
    assert read_log(tmp_path).val == {'knn/top1': {1.0: 50.0}}


def test_several_seeds_are_a_mean_and_a_band_over_the_epochs_that_all_have() -> None:
    epochs, drawn = band([{1.0: 10.0, 2.0: 20.0, 3.0: 90.0}, {1.0: 20.0, 2.0: 60.0}])
    assert epochs == [1.0, 2.0] and drawn.tolist() == [[15.0, 40.0], [10.0, 20.0], [20.0, 60.0]]


def test_metrics_and_losses_of_every_run_by_name(run: Path, tmp_path: Path) -> None:
    logs = read_logs({'a': run, 'b': [run, run]})
    assert logged(logs, 'linear/top1') == {'a': [{2.0: 50.0}], 'b': [{2.0: 50.0}] * 2}
    assert logged(logs, 'L_s')['a'][0][2.0] == 3.0
    with pytest.raises(DataError, match=r"a: metric 'lr' was not logged; choose from .*linear/top1, L_s, loss"):
        logged(logs, 'lr')
    panels = {metric: logged(logs, metric) for metric in ('knn/top1_k1', 'loss')}
    assert draw_series(panels, tmp_path / 's.png').read_bytes().startswith(b'\x89PNG')


def term_line(epoch: int, step: int, **terms: float) -> dict:
    return {'loss': sum(terms.values()), 'epoch': epoch, 'iter': step, 'step': step, **terms}


def test_the_terms_of_a_loss_are_drawn_as_logged_on_one_scale(tmp_path: Path, monkeypatch) -> None:
    """Values of the lines, by run and term; several seeds are their mean."""
    shortcut = {'L_global': (2.4, 2.3), 'L_s': (1.5, 0.7), 'L_ns': (1.4, 0.6)}
    matched = [{'L_global': (2.4, 1.9 + d), 'L_s': (2.2, 1.5 - d), 'L_ns': (2.0, 1.2)} for d in (0.0, 0.2)]
    for folder, terms in (('queue', shortcut), ('a', matched[0]), ('b', matched[1])):
        lines = [term_line(e, 4 * e, **{name: values[e - 1] for name, values in terms.items()}) for e in (1, 2)]
        write_log(tmp_path / folder, 'stamp', lines)
    write_log(tmp_path / 'plain', 'stamp', [{'loss': 5.0, 'epoch': 1, 'iter': 4, 'step': 4}])
    figures = []
    monkeypatch.setattr(curves, 'save', lambda figure, path: figures.append(figure) or path)
    runs = {'queue': tmp_path / 'queue', 'matched': [tmp_path / 'a', tmp_path / 'b'], 'plain': tmp_path / 'plain'}
    draw_losses(runs, tmp_path / 'losses.png')
    panels = {ax.get_title(): ax for ax in figures[0].axes}
    drawn = {
        name: {line.get_label().split()[0]: line.get_xydata().tolist() for line in ax.get_lines()}
        for name, ax in panels.items()
    }
    assert drawn['queue'] == {f'$L_{{{name[2:]}}}$': [[1, v[0]], [2, v[1]]] for name, v in shortcut.items()}
    assert drawn['matched']['$L_{global}$'][1] == pytest.approx([2, 2.0])
    assert drawn['matched']['$L_{s}$'][1] == pytest.approx([2, 1.4])
    assert drawn['plain'] == {'loss': [[1, 5.0]]}
    assert len({ax.get_ylim() for ax in figures[0].axes}) == 1 and figures[0].axes[0].get_ylim()[0] == 0
    labels = [line.get_label() for line in panels['queue'].get_lines()]
    assert labels == ['$L_{global}$ 2.30', '$L_{ns}$ 0.60', '$L_{s}$ 0.70']
    colours = [{line.get_label().split()[0]: line.get_color() for line in ax.get_lines()} for ax in figures[0].axes[:2]]
    assert colours[0] == colours[1] and len(set(colours[0].values())) == 3


def test_a_run_without_a_logged_loss_has_no_terms(run: Path, tmp_path: Path) -> None:
    write_log(tmp_path / 'untrained', 'stamp', [{'knn/top1_k1': 30.0, 'step': 1}])
    with pytest.raises(DataError, match='empty: no loss was logged'):
        draw_losses({'run': run, 'empty': tmp_path / 'untrained'}, tmp_path / 'losses.png')


@pytest.mark.parametrize(
    ('points', 'low', 'high'), [([(3, 2.0)], 0, 4), ([(1, 5.0), (2, 5.0)], 0, 10), ([(1, 0.0)], 0, 1)]
)
def test_axes_of_a_single_value_span_more_than_a_few_percent(points, low, high) -> None:
    """Kind N10: what a person reads. 2.0 alone was drawn between 1.9 and 2.1."""
    ax = Figure().subplots()
    ax.plot(*zip(*points, strict=True))
    _widen(ax)
    assert ax.get_ylim() == (low, high)
    assert ax.get_xlim()[1] - ax.get_xlim()[0] >= (2 if len(points) == 1 else 1)
