from pathlib import Path

import pytest

from skeattn.errors import DataError
from skeattn.results.class_gain import MEAN, class_gains, gains_table
from skeattn.results.recorded import read_result
from tests.results.records import BASE, OURS, write_record


def side(folder: Path, name: str, *tables: list[list[int]], first: int = 0, **facts):
    return [
        read_result(write_record(folder / f'{name}{seed}.json', table, name, seed, **facts))
        for seed, table in enumerate(tables, first)
    ]


def test_gains_are_in_points_of_the_class_greatest_first(tmp_path: Path) -> None:
    gains = class_gains(side(tmp_path, 'A', BASE), side(tmp_path, 'B', OURS))
    assert [(one.name, one.clips, round(one.gain, 6)) for one in gains] == [
        ('throw', 10, 40.0), ('drink', 10, 0.0), ('wave', 5, -20.0), (MEAN, 25, round(20 / 3, 6)),
    ]  # fmt: skip


def test_means_over_seeds_and_gain_by_seed_whatever_the_order(tmp_path: Path) -> None:
    baseline, ours = side(tmp_path, 'A', BASE, OURS), side(tmp_path, 'B', OURS, OURS)
    gains = class_gains(baseline[::-1], ours)
    throw = gains[0]
    assert (throw.name, throw.gain, throw.by_seed) == ('throw', 20.0, (40.0, 0.0))
    table = gains_table(gains, 'A', 'B', 'github').splitlines()
    assert [cell.strip() for cell in table[2].split('|')[1:-1]] == [
        'throw', '10', '70.0 ± 28.3', '90.0 ± 0.0', '+20.0', '+40.0 +0.0',
    ]  # fmt: skip


def test_other_seeds_are_not_paired(tmp_path: Path) -> None:
    gains = class_gains(side(tmp_path, 'A', BASE), side(tmp_path, 'B', OURS, first=5))
    assert gains[0].by_seed == () and 'by seed' not in gains_table(gains, 'A', 'B')
    assert gains[0].gain == 40.0


def test_a_class_without_test_clips_is_left_out(tmp_path: Path) -> None:
    path = write_record(tmp_path / 'a.json', BASE)
    for name in 'ab':
        (tmp_path / f'{name}.json').write_text(path.read_text().replace('[5, 0, 5]', '[0, 0, 0]'))
    gains = class_gains([read_result(path)], [read_result(tmp_path / 'b.json')])
    assert [one.name for one in gains] == ['drink', 'wave', MEAN]


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    baseline = side(tmp_path, 'A', BASE)
    with pytest.raises(DataError, match='differ in their classes'):
        class_gains(baseline, side(tmp_path, 'B', OURS, classes=['drink', 'wave', 'kick']))
    with pytest.raises(DataError, match='differ in their test clips'):
        class_gains(baseline, side(tmp_path, 'B', OURS, split='xview'))
    with pytest.raises(DataError, match='differ in their method'):
        class_gains(baseline, [*side(tmp_path, 'B', OURS), *side(tmp_path, 'C', OURS)])
    with pytest.raises(DataError, match=r'B0\.json and .*A0\.json have different numbers of clips'):
        class_gains(baseline, side(tmp_path, 'B', [[8, 2, 0], [1, 4, 0], [5, 0, 4]]))
