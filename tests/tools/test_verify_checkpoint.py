"""What verify_checkpoint.py prints, and what it notices."""

import hashlib
import re
import shutil
from pathlib import Path

import pytest
import torch

from skeattn.checkpoint import read_checkpoint, write_checkpoint
from tests.engine.toy import toy_runner

TOOL = 'verify_checkpoint.py'


@pytest.fixture(scope='module')
def finished(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp('verify')
    toy_runner(folder, train_cfg__max_epochs=2).train()
    return folder / 'run'


@pytest.fixture
def file(finished, tmp_path) -> Path:
    return Path(shutil.copy(finished / 'epoch_2.pth', tmp_path))


@pytest.mark.slow
def test_an_intact_checkpoint_is_described(tool, file) -> None:
    status, out, _ = tool(TOOL, file)
    rows = dict(line.split(maxsplit=1) for line in out.splitlines() if len(line.split()) > 1)
    assert status == 0 and 'is intact' in out
    assert (rows['method'], rows['backbone'], rows['epoch'], rows['resume']) == ('SkeAttnCLR', 'STGCN', '2', 'yes')
    assert rows['sha256'] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert rows['shapes'].startswith('those of SkeAttnCLR: 360 of 360 tensors loaded')


@pytest.mark.slow
def test_all_checkpoints_of_a_work_dir_are_looked_at(tool, finished) -> None:
    status, out, _ = tool(TOOL, finished)
    assert status == 0 and out.count('is intact') == len(list(finished.glob('*.pth'))) == 3
    assert 'no, it lacks optimizer, param_schedulers' in out  # the best weights


def change(file: Path, *place: str, by: object) -> None:
    checkpoint = read_checkpoint(file)
    holder = checkpoint
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = by
    write_checkpoint(file, checkpoint)


@pytest.mark.slow
@pytest.mark.parametrize(
    ('place', 'by', 'fault'),
    [
        (('state_dict', 'queue.pointer'), torch.zeros(2), 'fault: .*queue.pointer'),
        (('state_dict', 'queue.keys'), torch.full((128, 40), torch.nan), '1 tensors hold NaN or infinity: queue'),
        (('meta', 'epoch'), -1, 'is damaged: meta.epoch'),
        (('message_hub', 'log_scalars'), [], 'is damaged: message_hub.log_scalars'),
    ],
)
def test_a_wrong_value_is_named(tool, file, place, by, fault) -> None:
    change(file, *place, by=by)
    status, out, _ = tool(TOOL, file)
    assert status == 1 and '1 of 1 checkpoints are damaged' in out
    assert re.search(fault, out), out


def test_a_missing_weight_and_a_flipped_bit_are_named(tool, file) -> None:
    checkpoint = read_checkpoint(file)
    del checkpoint['state_dict']['queue.pointer']
    write_checkpoint(file, checkpoint)
    assert '1 missing (queue.pointer)' in tool(TOOL, file)[1]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    status, out, _ = tool(TOOL, file)
    assert status == 1 and 'does not match its checksum' in out


@pytest.mark.slow
def test_a_digest_that_is_not_the_files_is_noticed(tool, file) -> None:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert tool(TOOL, file, '--sha256', digest[:8])[0] == 0
    assert 'not that of the one given' in tool(TOOL, file, '--sha256', '0' * 64)[1]
    published = file.rename(file.with_name(f'skeattnclr-{digest[:8]}.pth'))
    assert tool(TOOL, published)[0] == 0
    published.with_name(f'{published.name}.sha256').write_text(f'{"1" * 64}  {published.name}\n')
    status, out, _ = tool(TOOL, published)
    assert status == 1 and f'not that of {published}.sha256' in out
    renamed = published.rename(published.with_name('skeattnclr-00000000.pth'))
    assert 'not that of its name' in tool(TOOL, renamed)[1]


def test_what_is_not_there_is_named(tool, tmp_path) -> None:
    assert tool(TOOL, tmp_path / 'none.pth')[0] == 2
    assert 'holds no checkpoint' in tool(TOOL, tmp_path)[2]


def test_weights_without_a_config_are_not_compared_with_a_network(tool, tmp_path) -> None:
    torch.save({'w': torch.ones(2)}, tmp_path / 'w.pth')
    status, out, _ = tool(TOOL, tmp_path / 'w.pth')
    assert status == 0 and 'does not hold its config' in out
