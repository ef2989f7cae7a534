"""Damaged files of every kind: refused in one line or read, never a traceback, nothing that its checksum denies."""

import logging
import random
from multiprocessing import Pipe

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from skeattn.datasets import converters
from skeattn.torture import damage as damaging
from skeattn.torture import specimens
from skeattn.torture.damage import FAULTS, TRACEBACK, Laboratory, Outcome, random_outcomes, schedule
from skeattn.torture.mutations import KINDS, damage
from skeattn.torture.nodes import change_file, change_node
from skeattn.torture.specimens import SPECIMENS, Specimen, absent

pytestmark = pytest.mark.slow

FAST = [name for name, specimen in SPECIMENS.items() if specimen.cost < 0.5 and name not in absent()]


def test_every_format_is_damaged() -> None:
    assert {*converters.__all__} <= SPECIMENS.keys()


@pytest.fixture(scope='module')
def laboratory(tmp_path_factory) -> Laboratory:
    return Laboratory(tmp_path_factory.mktemp('damage'))


def attempt(laboratory: Laboratory, name: str, seed: str) -> Outcome:
    outcome = laboratory.attempt(name, seed)
    assert outcome.result not in FAULTS, outcome
    return outcome


@pytest.mark.parametrize('name', FAST)
@settings(max_examples=15)
@given(number=st.integers(0, 2**32))
def test_a_damaged_file_ends_in_no_traceback(laboratory, name, number) -> None:
    attempt(laboratory, name, str(number))


@pytest.mark.slow
@pytest.mark.parametrize('name', ['work_dir', 'report'])
@settings(max_examples=25)
@given(number=st.integers(0, 2**32))
def test_a_damaged_work_dir_resumes_with_the_same_bits_or_is_refused(laboratory, name, number) -> None:
    """Checkpoints, pointer, best.json, data and config of a run that was killed; and the report on it."""
    logging.disable(logging.WARNING)
    try:
        attempt(laboratory, name, str(number))
    finally:
        logging.disable(logging.NOTSET)


@given(seed=st.integers(0, 1000))
@example(seed=0)
def test_a_changed_node_is_another_value_and_the_rest_stays(seed) -> None:
    value = {'a': [1, 2, {'b': 'x'}], 'c': 3.5}
    changed, what = change_node({'a': [1, 2, {'b': 'x'}], 'c': 3.5}, random.Random(seed))
    assert what and (changed != value or 'whole' in what or '->' in what)


@pytest.mark.parametrize(
    ('name', 'file'),
    [
        ('bank of clips', 'bank.npz'),
        ('stgcn_arrays', 'train_data_joint.npy'),
        ('stgcn_arrays', 'train_label.pkl'),
        ('utdmhad', 'a1_s1_t1_skeleton.mat'),
        ('sleap', 'a.analysis.h5'),
        ('weights', 'weights.pth'),
        ('coco', 'images.json'),
    ],
)
def test_values_are_changed_in_files_that_stay_readable(laboratory, tmp_path, name, file) -> None:
    if name in absent():
        pytest.skip(f'{SPECIMENS[name].needs} is not installed')
    specimens.copy(laboratory.intact(name), tmp_path / 'copy')
    path, content = tmp_path / 'copy' / file, (laboratory.intact(name) / file).read_bytes()
    changed = 0
    for seed in range(20):
        path.write_bytes(content)
        done = change_file(path, random.Random(seed)) is not None
        assert done or path.read_bytes() == content
        changed += path.read_bytes() != content
    assert changed > 5


def test_a_format_whose_package_is_missing_is_left_out_and_noted(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(SPECIMENS, 'rare', Specimen(lambda folder: None, lambda folder: None, needs='no_such_package'))
    for name in [name for name in SPECIMENS if name not in ('rare', 'record')]:
        monkeypatch.delitem(SPECIMENS, name)
    notes: list[str] = []
    outcomes = list(random_outcomes(tmp_path, 3, 0, notes.append))
    assert [outcome.specimen for outcome in outcomes] == ['record'] * 3
    assert notes[0] == 'not damaged, since their packages are not installed: rare'


@pytest.mark.parametrize('kind', KINDS)
def test_every_kind_of_damage_changes_some_file(laboratory, tmp_path, kind) -> None:
    place = laboratory.intact('ctrgcn') if kind == 'member' else laboratory.intact('nwucla')
    source = sorted(path for path in place.iterdir() if path.is_file())[0]
    path = tmp_path / source.name
    for seed in range(20):
        path.unlink(missing_ok=True) if not path.is_dir() else path.rmdir()
        path.write_bytes(source.read_bytes())
        if damage(path, kind, random.Random(seed), [source.with_name(source.name), source]) is None:
            continue
        if kind == 'other' or not path.is_file() or path.read_bytes() != source.read_bytes():
            return
    raise AssertionError(kind)


def test_a_broken_reader_is_found(laboratory, monkeypatch) -> None:
    """Whatever reads without care ends in a traceback, and that is reported with what makes it happen again."""

    def make(folder) -> None:
        (folder / 'number.txt').write_text('12')

    def read(folder) -> int:
        return int((folder / 'number.txt').read_text())

    monkeypatch.setitem(SPECIMENS, 'careless', Specimen(make, read))
    outcomes = [laboratory.attempt('careless', str(seed)) for seed in range(30)]
    found = [outcome for outcome in outcomes if outcome.result == TRACEBACK]
    assert found and laboratory.attempt('careless', found[0].seed) == found[0]


def test_an_outcome_that_cannot_be_sent_is_a_fault_of_its_damage() -> None:
    """It ended the tool, which then named no fault at all."""
    receiver, sender = Pipe(duplex=False)
    sender.send_bytes(b'\x80\x04\x8c\x02\xf0\x28.')  # a pickle of a text that is none
    outcome = damaging._receive(receiver, None, 'record', '0 7')
    assert (outcome.specimen, outcome.seed, outcome.result) == ('record', '0 7', TRACEBACK)


def test_work_is_drawn_from_the_seed_and_slow_readings_are_rare() -> None:
    names = ['record', 'work_dir']
    work = schedule(500, 3, names)
    assert work == schedule(500, 3, names) != schedule(500, 4, names)
    assert 10 < sum(name == 'work_dir' for name, _ in work) < 120
