import json
from dataclasses import replace
from pathlib import Path

import pytest

from skeattn.errors import ConfigError, DataError
from skeattn.results.recorded import check_comparable, read_result
from tests.results.records import BASE, CLASSES, write_record


def test_what_was_recorded_is_read_back(tmp_path: Path) -> None:
    one = read_result(write_record(tmp_path / 'r.json', seed=3, stream=['joint', 'bone']))
    assert (one.name, one.seed, one.stream, one.source) == ('SkeletonCLR', 3, 'joint+bone', 'backbone')
    assert one.classes == CLASSES and one.confusion.tolist() == BASE
    assert one.curves['loss'] == [2.0, 1.0, 0.5]


def test_several_sources_have_to_be_told_apart(tmp_path: Path) -> None:
    path = write_record(tmp_path / 'r.json', sources=('backbone', 'projector'))
    with pytest.raises(ConfigError, match='linear evaluated backbone, projector features; choose one with --source'):
        read_result(path)
    assert read_result(path, source='projector').source == 'projector'
    with pytest.raises(DataError, match=r"no result of 'linear' on logits features; the record holds backbone: linear"):
        read_result(path, source='logits')


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('{"sources"', 'is no readable record'),
        ('[1]', 'is no record, it has no sources; give one that skeattn test wrote'),
        ('{"version": 1, "sources": {"backbone": 3}}', 'is no valid record: name: .*, data: .*, split: .*; write it'),
        (
            '{"name": "a", "data": "b", "protocol": "c", "stream": "joint", "seed": 0, '
            '"sources": {"backbone": {"metrics": {}}}}',
            "no result of 'linear'; the record holds backbone: none",
        ),
    ],
)
def test_what_is_no_record_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / 'odd.json'
    path.write_text(text)
    with pytest.raises(DataError, match=rf'odd\.json.*{message}'):
        read_result(path)
    with pytest.raises(DataError, match=r'none\.json: no such record'):
        read_result(tmp_path / 'none.json')


@pytest.mark.parametrize('confusion', [[[1, 2], [3, 4]], [[1, 2, 3], [4, 5], [6]], [[1, 2, 3]] * 2 + [[0, -1, 0]]])
def test_a_confusion_that_is_none_is_refused(tmp_path: Path, confusion) -> None:
    path = write_record(tmp_path / 'odd.json')
    record = json.loads(path.read_text())
    record['sources']['backbone']['protocols']['linear']['confusion'] = confusion
    path.write_text(json.dumps(record))
    with pytest.raises(DataError, match=r'odd\.json: confusion is not a matrix of counts for the 3 classes'):
        _ = read_result(path).confusion


def test_a_protocol_without_classes_has_no_confusion(tmp_path: Path) -> None:
    sources = {'backbone': {'metrics': {}, 'protocols': {'retrieval': {'curves': {}}}}}
    path = write_record(tmp_path / 'r.json')
    path.write_text(json.dumps({**json.loads(path.read_text()), 'sources': sources}))
    with pytest.raises(DataError, match=r'r\.json: the record has no per_class of this protocol'):
        _ = read_result(path, 'retrieval').classes


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        ({'name': 'AimCLR'}, 'their method: AimCLR and SkeletonCLR'),
        ({'manifest_sha256': 'b' * 64}, 'their test clips .*: bbbbbbbbbbbb xsub and aaaaaaaaaaaa xsub'),
        ({'split': 'xview'}, 'their test clips'),
        ({'classes': ['drink', 'throw', 'wave']}, 'their classes'),
        ({'stream': 'bone'}, 'stream: bone and joint'),
    ],
)
def test_what_does_not_belong_together_is_refused(tmp_path: Path, changed: dict, message: str) -> None:
    first = read_result(write_record(tmp_path / 'a.json'))
    other = read_result(write_record(tmp_path / 'b.json', **{'name': 'SkeletonCLR', **changed}))
    check_comparable([first, replace(first, path=tmp_path / 'c.json')], ('name', 'stream'))
    with pytest.raises(DataError, match=rf'b\.json and .*a\.json differ in {message}'):
        check_comparable([first, other], ('name', 'stream'))


def test_the_same_record_does_not_count_twice(tmp_path: Path) -> None:
    path = write_record(tmp_path / 'a.json')
    with pytest.raises(DataError, match=r'a\.json is listed twice'):
        check_comparable([read_result(path), read_result(tmp_path / '.' / 'a.json')])


def test_records_without_a_readout_have_the_mean_and_others_are_not_compared_with_them(tmp_path: Path) -> None:
    old, new = write_record(tmp_path / 'old.json'), write_record(tmp_path / 'new.json')
    content = json.loads(new.read_text())
    content['sources']['backbone']['readout'] = 'joints'
    new.write_text(json.dumps(content))
    results = [read_result(path) for path in (old, new)]
    assert [one.readout for one in results] == ['mean', 'joints']
    with pytest.raises(DataError, match=r'differ in the readout of their features: joints and mean; give records'):
        check_comparable(results)
