"""Records: what is written is read, older ones too, and anything else ends in one named error."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from skeattn.errors import RecordError
from skeattn.results.record import VERSION, Record, read, write
from tests.conftest import ROOT
from tests.results.records import write_record

FOLDERS = ('compare_', 'protocols_', 'supervised_', 'table', 'untrained_')
COMMITTED = sorted(path for path in (ROOT / 'docs/results').glob('*/*.json') if path.parent.name.startswith(FOLDERS))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


def places(content: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every node of parsed JSON below its root."""
    keys = content if isinstance(content, dict) else range(len(content)) if isinstance(content, list) else ()
    return [node for key in keys for node in ((*place, key), *places(content[key], (*place, key)))]


@pytest.mark.slow
def test_committed_records_are_read_and_written_again_as_they_were(tmp_path: Path) -> None:
    assert len(COMMITTED) > 70
    for path in COMMITTED:
        record = read(path)
        write(tmp_path / 'again.json', record)
        assert read(tmp_path / 'again.json') == record, path


def test_a_record_of_version_0_is_read_under_the_present_names() -> None:
    path = ROOT / 'docs/results/supervised_nwucla_xview/ctrgcn_seed0.json'
    content, record = json.loads(path.read_text()), read(path)
    assert 'version' not in content and record.split == content['protocol'] == 'xview'
    old, new = content['sources']['backbone'], record.sources['backbone']
    assert new.metrics == old['metrics'] and new.streams == old['streams']
    for name, result in old.get('outcomes', {}).items():
        assert new.protocols[name].confusion == result['confusion']
    fusion = Path(__file__).parent / 'data/fusion_of_version_0.json'
    content, record = json.loads(fusion.read_text()), read(fusion)
    assert record.ensemble is not None and record.ensemble.weights == content['weights']
    assert [part.scores for part in record.ensemble.parts] == [part['scores'] for part in content['parts']]
    assert record.sources['fusion'].protocols['linear'].selection == {
        'top1': 'last epoch, weights chosen on held-out training clips'
    }


@pytest.mark.parametrize('version', [VERSION + 1, -1, '1', None, True, 1.5])
def test_an_unknown_version_is_named(tmp_path: Path, version: Any) -> None:
    path = write_record(tmp_path / 'r.json', version=version)
    with pytest.raises(RecordError, match=rf'r\.json has version {version!r}, this skeattn reads 0 to {VERSION}'):
        read(path)


@pytest.mark.parametrize(
    ('change', 'field'),
    [
        ({'seed': '3'}, 'seed: input should be a valid integer'),
        ({'sources': {'backbone': {'metrics': {'a': 'high'}}}}, r'sources\.backbone\.metrics\.a: '),
        ({'sources': {'backbone': {}}}, r'sources\.backbone\.metrics: field required'),
        ({'datta': 'x'}, 'datta: unexpected keyword argument'),
        ({'name': None}, 'name: input should be a valid string'),
    ],
)
def test_a_wrong_field_is_named_with_its_place(tmp_path: Path, change: dict, field: str) -> None:
    path = write_record(tmp_path / 'r.json')
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(RecordError, match=rf'r\.json is no valid record: {field}'):
        read(path)


@given(st.data())
def test_a_changed_record_is_read_or_refused_by_its_one_error(data: st.DataObject) -> None:
    """Any node replaced, or a key removed: no other exception, and what is read can be written."""
    content = copy.deepcopy(CONTENT[data.draw(st.sampled_from(sorted(CONTENT)))])
    *path, last = data.draw(st.sampled_from(places(content)))
    node = content
    for key in path:
        node = node[key]
    if data.draw(st.booleans()):
        node[last] = data.draw(JSON)
    else:
        del node[last]
    try:
        record = Record.from_dict(content)
    except RecordError as error:
        assert str(error).startswith('the record ')
    else:
        assert Record.from_dict(record.to_dict()) == record


CONTENT = {path.name: json.loads(path.read_text()) for path in COMMITTED if 'seed0' in path.name}


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode) | st.just(b'[' * 100_000))
def test_bytes_that_are_no_record_are_refused_by_name(tmp_path_factory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / 'odd.json'
    path.write_bytes(content)
    with pytest.raises(RecordError, match=r'odd\.json'):
        read(path)
