"""What torture.py prints, and how it reports a broken promise."""

import json

from skeattn.torture.specimens import SPECIMENS, Specimen

TOOL = 'analysis_tools/torture.py'
FEW = ('--kills', 0, '--writes', 20, '--minutes', 0)


def test_a_table_and_a_record_of_what_was_tried(tool, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr('skeattn.torture.damage.random_outcomes.__defaults__', (('record', 'curves'),))
    status, out, err = tool(TOOL, *FEW, '--mutations', 20, '--folder', tmp_path / 'a', '--out', tmp_path / 'a.json')
    assert status == 0, err
    assert '| two writers of one file | 20 writes' in out and '| damaged: record' in out
    sections = json.loads((tmp_path / 'a.json').read_text())['sections']
    assert list(sections) == ['damages', 'writers'] and not sections['damages']['faults']
    assert sections['writers']['record']['writes'] == 20


def test_a_broken_promise_is_status_1_with_what_makes_it_happen_again(tool, tmp_path, monkeypatch) -> None:
    def make(folder) -> None:
        (folder / 'number.txt').write_text('12')

    monkeypatch.setitem(SPECIMENS, 'careless', Specimen(make, lambda folder: int((folder / 'number.txt').read_text())))
    monkeypatch.setattr('skeattn.torture.damage.random_outcomes.__defaults__', (('careless',),))
    status, out, err = tool(TOOL, *FEW, '--mutations', 30, '--seed', 4, '--folder', tmp_path)
    assert status == 1 and 'traceback' in out
    assert "broken (--seed 4): careless, damage '4 " in err and 'ValueError' in err


def test_a_senseless_number_is_refused(tool) -> None:
    assert tool(TOOL, '--kills', -1)[0] == 2
