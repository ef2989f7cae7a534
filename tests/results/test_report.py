import json
import platform
from pathlib import Path

import pytest

from skeattn.files import sha256, write_json
from skeattn.results.provenance import environment
from skeattn.results.report import by_readout, heading, mean_std, metrics_table, of_readout

METRICS = {
    'linear/top1_heldout': 71.0,
    'linear/top1_best': 73.25,
    'knn/top1_k10': 66.66,
    'knn/heldout_top1_k10': 1.0,
    'linear/top1': 72.0,
    'knn/top1_k5': 60.0,
}


def test_table_names_every_number_and_orders_k_by_value() -> None:
    lines = metrics_table({'a': METRICS, 'b': {'knn/top1_k5': 5.0}}).splitlines()
    assert lines[0].split() == ['KNN', 'KNN', 'linear', 'linear', 'linear']
    assert lines[1].split() == ['K=5', 'K=10', 'last', 'epoch', 'best', 'on', 'test', 'held-out', 'epoch']
    assert lines[3].split() == ['a', '60.0', '66.7', '72.0', '73.2', '71.0']
    assert lines[4].split() == ['b', '5.0']


def test_a_classifier_has_its_columns() -> None:
    lines = metrics_table({'a': {'topk/top5': 90.04, 'topk/top1': 81.6, 'knn/top1_k1': 50.0}}).splitlines()
    assert [lines[i].split() for i in (0, 1, 3)] == [
        ['KNN', 'classifier', 'classifier'], ['K=1', 'top-1', 'top-5'], ['a', '50.0', '81.6', '90.0']
    ]  # fmt: skip


def test_columns_can_be_chosen() -> None:
    lines = metrics_table({'a': METRICS}, ['linear/top1', 'own/metric']).splitlines()
    assert lines[0].split() + lines[1].split() == ['linear', 'own/metric', 'last', 'epoch']
    assert lines[3].split() == ['a', '72.0']


@pytest.mark.parametrize(
    ('metric', 'text'),
    [
        ('knn/top1_k20', 'KNN\nK=20'),
        ('linear/top1_best', 'linear\nbest on test'),
        ('linear/top1_std', 'linear\n± probe seeds'),
        ('linear_mamp/top1', 'linear_mamp\nlast epoch'),
        ('topk/top1', 'classifier\ntop-1'),
        ('topk/top5', 'classifier\ntop-5'),
        ('retrieval/map', 'retrieval/map'),
    ],
)
def test_headings(metric: str, text: str) -> None:
    assert heading(metric) == text


def test_a_record_that_cannot_be_written_leaves_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / 'deep' / 'record.json'
    write_json(path, {'top1': 1.5})
    with pytest.raises(TypeError):
        write_json(path, {'top1': object()})
    assert json.loads(path.read_text()) == {'top1': 1.5}
    assert [p.name for p in path.parent.iterdir()] == ['record.json']


def test_environment_names_versions_but_not_the_machine() -> None:
    facts = environment()
    assert facts['versions'].keys() == {'python', 'numpy', 'torch', 'mmengine', 'skeattn'}
    assert platform.node() not in facts['hardware']


def test_sha256_of_a_file(tmp_path: Path) -> None:
    (tmp_path / 'f').write_bytes(b'abc')
    assert sha256(tmp_path / 'f') == 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'


@pytest.mark.parametrize(
    ('values', 'digits', 'text'),
    [
        ([], 1, ''),
        ([12.345], 1, '12.3'),
        ([1.0, 2.0, 3.0], 1, '2.0 ± 1.0'),
        ([50.0, 50.0], 1, '50.0 ± 0.0'),
        ((1.0, 2.0), 3, '1.500 ± 0.707'),
    ],
)
def test_mean_and_sample_deviation_and_none_for_one_value(values: list[float], digits: int, text: str) -> None:
    assert mean_std(values, digits) == text


def test_tables_are_separate_for_each_readout_and_raw_coordinates_stand_in_all() -> None:
    rows = {
        'raw coordinates': {'knn/top1_k1': 1.0, 'linear/top1': 2.0},
        'raw coordinates, readout joints': {'knn/top1_k1': 3.0},
        of_readout('a', 'mean'): {'linear/top1': 4.0},
        of_readout('a', 'joints'): {'knn/top1_k1': 5.0},
        of_readout('a', 'joints') + ', without copies': {'knn/top1_k1': 6.0},
    }
    tables = by_readout(rows)
    assert tables == {
        'joints': {
            'raw coordinates, whole clip': {'knn/top1_k1': 1.0},
            'raw coordinates': {'knn/top1_k1': 3.0},
            'a': {'knn/top1_k1': 5.0},
            'a, without copies': {'knn/top1_k1': 6.0},
        },
        'mean': {'raw coordinates': {'linear/top1': 2.0}, 'a': {'linear/top1': 4.0}},
    }
    headers = [metrics_table(rows, readout=readout).splitlines()[:2] for readout, rows in tables.items()]
    assert [line.split() for line in headers[0]] == [['readout', 'KNN'], ['joints', 'K=1']]
    assert [line.strip() for line in headers[1]] == ['linear', 'last epoch']
    alone = {'raw coordinates': rows['raw coordinates']}
    assert by_readout(alone) == {'mean': alone}
