"""Checkpoints are whole or absent, read without running anything, and fit or are refused."""

import copy
import os
import pickle
import re
import zipfile
from collections import Counter, OrderedDict, deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from torch import nn

from skeattn.checkpoint import (
    LAST,
    find_newest,
    load_checkpoint,
    load_weights,
    plain,
    read_checkpoint,
    write_checkpoint,
)
from skeattn.engine.message_hub import hub_state, restore_hub
from skeattn.errors import CheckpointError
from skeattn.models import SkeletonPreprocessor


class Bomb:
    """Unpickling it would create a file."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return os.system, (f'touch {self.mark}',)


def net(width: int = 3) -> nn.Module:
    return nn.Sequential(nn.Linear(2, width), nn.Linear(width, 4))


def save_epochs(folder: Path, epochs: range) -> None:
    for epoch in epochs:
        write_checkpoint(folder / f'epoch_{epoch}.pth', {'state_dict': net().state_dict(), 'meta': {'epoch': epoch}})


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def test_everything_becomes_builtin_types_and_tensors_that_load_safely(tmp_path):
    state = OrderedDict(
        a=np.float64(1.5),
        b=np.arange(3),
        c=deque([1, 2]),
        d=Counter({5: 1}),
        e=Path('x'),
        f=(True, None),
        g=torch.ones(2),
    )
    write_checkpoint(tmp_path / 'c.pth', {'state_dict': {}, 'x': state})
    found = torch.load(tmp_path / 'c.pth', weights_only=True)['x']
    assert torch.equal(found.pop('g'), torch.ones(2)) and found.pop('b').tolist() == [0, 1, 2]
    assert found == {'a': 1.5, 'c': [1, 2], 'd': {5: 1}, 'e': 'x', 'f': [True, None]}


def test_a_value_that_a_safe_reader_would_refuse_is_not_written():
    with pytest.raises(TypeError, match='object'):
        plain({'a': object()})


def test_a_message_hub_survives_the_journey(tmp_path):
    hub = MessageHub('before')
    for value in (1.0, 2.0, 4.0):
        hub.update_scalar('train/loss', torch.tensor(value))
    hub.update_info('best', np.float64(0.5))
    write_checkpoint(tmp_path / 'c.pth', {'state_dict': {}, 'message_hub': hub_state(hub)})
    after = MessageHub('after')
    restore_hub(after, torch.load(tmp_path / 'c.pth', weights_only=True)['message_hub'])
    assert after.get_scalar('train/loss').data[0].tolist() == [1, 2, 4]
    assert after.get_scalar('train/loss').mean(2) == 3 and after.get_info('best') == 0.5


@pytest.mark.parametrize('zipped', [True, False])
def test_a_hostile_checkpoint_is_refused_and_nothing_runs(tmp_path, zipped):
    path, mark = tmp_path / 'hostile.pth', tmp_path / 'mark'
    torch.save({'state_dict': {}, 'x': Bomb(mark)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match=r'hostile\.pth refused: it holds (posix|nt)\.system'):
        read_checkpoint(path)
    assert not mark.exists()


def test_a_bare_pickle_is_refused_and_nothing_runs(tmp_path):
    path, mark = tmp_path / 'bare.pth', tmp_path / 'mark'
    path.write_bytes(pickle.dumps(Bomb(mark)))
    with pytest.raises(CheckpointError, match=r'bare\.pth'):
        read_checkpoint(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    'content',
    [b'', b'PK\x03\x04', b'hello', b'PK\x03\x04' + bytes(500), b'epoch_1_iter_6.pth', b's01_e01\nwalk: 1 3\n'],
)
def test_a_damaged_file_is_named(tmp_path, content):
    path = tmp_path / 'damaged.pth'
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r'damaged\.pth is damaged or incomplete'):
        read_checkpoint(path)


def test_a_flipped_bit_in_a_weight_is_noticed(tmp_path):
    path = tmp_path / 'flipped.pth'
    marker = torch.full((64,), 1.2345)
    write_checkpoint(path, {'state_dict': {'w': marker}})
    content = bytearray(path.read_bytes())
    content[content.index(marker.numpy().tobytes()) + 10] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r'flipped\.pth is damaged'):
        read_checkpoint(path)


@pytest.mark.parametrize('pickled', [b'\x80\x02a.', b'\x80\x02}(K\x01K\x02u.', b'\x80\x02s.', b'\x80\x02(.'])
def test_whatever_an_unpickler_stumbles_over_is_a_damaged_file_that_is_passed_over(tmp_path, pickled):
    for epoch in (1, 2):
        write_checkpoint(tmp_path / f'epoch_{epoch}.pth', {'state_dict': net().state_dict()})
    whole = tmp_path / 'epoch_2.pth'
    with zipfile.ZipFile(whole) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(whole, 'w') as archive:
        for name, content in parts.items():
            archive.writestr(name, pickled if name.endswith('data.pkl') else content)
    with pytest.raises(CheckpointError, match=r'epoch_2\.pth'):
        read_checkpoint(whole)
    assert find_newest(tmp_path, lambda _: None) == tmp_path / 'epoch_1.pth'


@pytest.mark.parametrize(
    'content',
    [
        [1, 2],
        {'state_dict': {'w': 3}},
        {},
        {'state_dict': {1: torch.ones(1)}},
        {'state_dict': {'w': torch.ones(1)}, 'meta': [1]},
    ],
)
def test_a_file_without_tensors_by_name_is_refused(tmp_path, content):
    torch.save(content, tmp_path / 'odd.pth')
    with pytest.raises(CheckpointError, match=r'odd\.pth'):
        read_checkpoint(tmp_path / 'odd.pth')


def test_a_bare_state_dict_loads(tmp_path):
    source, target = net(), net()
    torch.save(source.state_dict(), tmp_path / 'bare.pth')
    report = load_checkpoint(target, tmp_path / 'bare.pth')
    assert torch.equal(source[0].weight, target[0].weight)
    assert (len(report.loaded), report.missing, report.unexpected) == (4, [], [])


def test_the_report_counts_what_is_missing_and_what_is_too_much():
    state = {**net().state_dict(), 'head.weight': torch.ones(1)}
    del state['1.bias']
    report = load_weights(net(), state, 'file')
    assert str(report) == '3 of 4 tensors loaded, 1 missing (1.bias), 1 unexpected (head.weight)'


def test_a_checkpoint_in_which_too_little_matches_is_refused():
    state = {f'other.{name}': value for name, value in net().state_dict().items()}
    target = net()
    before = target[0].weight.clone()
    with pytest.raises(CheckpointError, match=r'0 of 4 tensors loaded, 4 missing \(0\.weight, .*unexpected'):
        load_weights(target, state, 'file')
    assert torch.equal(target[0].weight, before)


def test_a_checkpoint_of_other_shapes_is_refused():
    with pytest.raises(CheckpointError, match=r'3 tensors have a different shape .*0\.weight \(5, 2\), not \(3, 2\)'):
        load_weights(net(), net(5).state_dict(), 'file')


@pytest.mark.parametrize('meta', [{'backbone': 'STGCN'}, {'cfg': "model = {'backbone': {'type': 'STGCN'}}"}])
def test_another_backbone_is_named_as_the_cause(meta: dict):
    class BIGRU(nn.Linear):
        pass

    model = nn.ModuleDict({'encoder': nn.ModuleDict({'backbone': BIGRU(2, 3)})})
    message = 'it was trained with backbone STGCN, the config says BIGRU; use a config with backbone STGCN'
    other_shape = {name: value[:1] for name, value in model.state_dict().items()}
    for state in (other_shape, net().state_dict()):
        with pytest.raises(CheckpointError, match=message):
            load_weights(model, state, 'file', meta=meta)
        with pytest.raises(CheckpointError, match='use the config that the checkpoint was trained with'):
            load_weights(model, state, 'file', meta={'backbone': 'BIGRU'})


def test_the_newest_checkpoint_is_the_one_last_written(tmp_path):
    save_epochs(tmp_path, range(1, 4))
    assert find_newest(tmp_path).name == 'epoch_3.pth'
    # epoch_3 was left by an earlier run in the same folder
    (tmp_path / 'last_checkpoint').write_text('epoch_2.pth')
    assert find_newest(tmp_path).name == 'epoch_2.pth'


def test_epochs_are_ordered_by_number_not_by_name(tmp_path):
    save_epochs(tmp_path, range(8, 12))
    assert find_newest(tmp_path).name == 'epoch_11.pth'


def test_a_damaged_newest_checkpoint_is_reported_and_passed_over(tmp_path):
    save_epochs(tmp_path, range(1, 4))
    (tmp_path / 'last_checkpoint').write_text('epoch_3.pth')
    truncate(tmp_path / 'epoch_3.pth')
    (tmp_path / 'epoch_2.pth').unlink()
    messages: list[str] = []
    assert find_newest(tmp_path, messages.append).name == 'epoch_1.pth'
    assert len(messages) == 1 and 'epoch_3.pth is damaged' in messages[0]


@pytest.mark.parametrize('pointer', [b'\xbd\x00', b'', b'epoch_9.pth', b'../../x'])
def test_a_damaged_pointer_is_no_obstacle(tmp_path, pointer):
    write_checkpoint(tmp_path / 'epoch_1.pth', {'meta': {}, 'state_dict': {'w': torch.ones(1)}})
    (tmp_path / LAST).write_bytes(pointer)
    assert find_newest(tmp_path) == tmp_path / 'epoch_1.pth'


def test_a_copied_folder_points_to_itself(tmp_path):
    """Also where ``last_checkpoint`` holds an absolute path, as other tools write it."""
    copy = tmp_path / 'copy'
    copy.mkdir()
    save_epochs(copy, range(1, 3))
    (copy / 'last_checkpoint').write_text('/somewhere/else/epoch_2.pth')
    assert find_newest(copy) == copy / 'epoch_2.pth'


def test_nothing_to_resume_from(tmp_path):
    assert find_newest(tmp_path) is None
    save_epochs(tmp_path, range(1, 3))
    for path in tmp_path.iterdir():
        truncate(path)
    with pytest.raises(CheckpointError, match='none of its 2 checkpoints'):
        find_newest(tmp_path)


def test_a_checkpoint_of_another_stream_is_refused(tmp_path):
    model = net()
    model.data_preprocessor = SkeletonPreprocessor('ntu25', 'bone')
    path = tmp_path / 'epoch_1.pth'
    for stream, layout in (('joint', 'ntu25'), ('bone', 'kinect20')):
        write_checkpoint(path, {'state_dict': net().state_dict(), 'meta': {'stream': stream, 'layout': layout}})
        with pytest.raises(CheckpointError, match=r"was trained with (stream='joint'|layout='kinect20')"):
            load_checkpoint(model, path)
    write_checkpoint(path, {'state_dict': net().state_dict(), 'meta': {'channels': ['x', 'y', 'score']}})
    with pytest.raises(
        CheckpointError, match=r"was trained with channels=\['x', 'y', 'score'\], the config says \['x', 'y'"
    ):
        load_checkpoint(model, path)
    write_checkpoint(path, {'state_dict': net().state_dict(), 'meta': {'stream': 'bone', 'layout': 'ntu25'}})
    assert len(load_checkpoint(model, path).loaded) == 4


def test_a_query_encoder_that_would_stay_partly_random_is_refused():
    model = nn.ModuleDict({'encoder_q': net(), 'other': nn.Linear(1, 1)})
    complete = model.state_dict()
    partial = {name: value for name, value in complete.items() if name != 'encoder_q.1.bias'}
    with pytest.raises(CheckpointError, match=r'encoder_q\.1\.bias'):
        load_weights(model, partial, 'partial.pth')
    without_other = {name: value for name, value in complete.items() if name.startswith('encoder_q')}
    assert len(load_weights(model, without_other, 'encoder.pth').missing) == 2


STATE: dict[str, Any] = {
    'meta': {'epoch': 2, 'iter': 6},
    'message_hub': {'log_scalars': {'train/loss': {'values': [1.5], 'counts': [1.0]}}, 'runtime_info': {}},
    'optimizer': {'state': {0: {'momentum_buffer': torch.zeros(2)}}, 'param_groups': [{'lr': 0.1, 'params': [0]}]},
    'param_schedulers': [{'last_step': 2}],
    'pending': None,
    'unfinished': None,
}


@pytest.mark.parametrize(
    ('place', 'value'),
    [
        (('meta', 'epoch'), -1),
        (('meta', 'epoch'), 'two'),
        (('meta', 'iter'), None),
        (('meta', 'iter'), 1.5),
        (('meta', 'iterations_per_epoch'), 0),
        (('message_hub', 'log_scalars'), []),
        (('message_hub', 'log_scalars', 'train/loss', 'values'), ['x']),
        (('optimizer', 'param_groups'), {}),
        (('optimizer', 'state'), [1]),
        (('param_schedulers',), 5),
        (('pending',), {'micro_batches': 0, 'gradients': {}, 'keys': []}),
        (('pending',), {'micro_batches': 1, 'gradients': {}, 'keys': [], 'ids': 'nonsense'}),
        (('unfinished',), {'losses': [1.0]}),
    ],
)
def test_a_wrong_value_in_the_state_of_a_training_is_named_and_the_checkpoint_passed_over(tmp_path, place, value):
    write_checkpoint(tmp_path / 'epoch_1.pth', {**STATE, 'state_dict': net().state_dict()})
    wrong = copy.deepcopy(STATE)
    node = wrong
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    write_checkpoint(tmp_path / 'epoch_2.pth', {**wrong, 'state_dict': net().state_dict()})
    with pytest.raises(CheckpointError, match=rf'epoch_2\.pth is damaged: {re.escape(".".join(place))}'):
        read_checkpoint(tmp_path / 'epoch_2.pth')
    skipped = []
    assert find_newest(tmp_path, skipped.append) == tmp_path / 'epoch_1.pth'
    assert len(skipped) == 1 and 'is damaged' in skipped[0]


def test_checkpoints_within_an_epoch_are_newer_than_its_beginning(tmp_path):
    for name in ('epoch_2.pth', 'epoch_2_iter_9.pth', 'epoch_2_iter_10.pth', 'epoch_10.pth'):
        write_checkpoint(tmp_path / name, {'state_dict': net().state_dict(), 'meta': {}})
    assert find_newest(tmp_path) == tmp_path / 'epoch_10.pth'
    (tmp_path / 'last_checkpoint').write_text('epoch_2_iter_10.pth')
    assert find_newest(tmp_path) == tmp_path / 'epoch_2_iter_10.pth'
    truncate(tmp_path / 'epoch_2_iter_10.pth')
    assert find_newest(tmp_path, lambda text: None) == tmp_path / 'epoch_2_iter_9.pth'
