"""Published weights by path, folder, name, address and hub: found once, and refused where the digest differs."""

import sys
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import ModuleType

import pytest
import torch

from skeattn import fetch
from skeattn.errors import CheckpointError
from skeattn.fetch import ENTRY, find_weights
from skeattn.files import sha256
from skeattn.weights_file import write_weights


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A published file ``zoo/toy/toy-<digest>.safetensors``, with an entry beside it; downloads go to ``downloads``."""
    folder = tmp_path / 'zoo/toy'
    write_weights(folder / 'toy.safetensors', {'a': torch.arange(4.0)}, {'method': 'Toy'})
    path = folder / f'toy-{sha256(folder / "toy.safetensors")[:8]}.safetensors'
    (folder / 'toy.safetensors').rename(path)
    (folder / ENTRY).write_text('{}')
    monkeypatch.setenv(fetch.ZOO, str(tmp_path / 'zoo'))
    monkeypatch.setenv(fetch.DOWNLOADS, str(tmp_path / 'downloads'))
    monkeypatch.chdir(tmp_path)
    return path


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def server(weights):
    """The address of the folder of the published file."""
    with ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=weights.parent)) as running:
        Thread(target=running.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{running.server_port}'
        running.shutdown()


def test_a_path_of_something_else_is_returned_as_it_is(weights, tmp_path) -> None:
    for path in (tmp_path, tmp_path / 'none.pth', weights):
        assert find_weights(path) == path


def test_by_folder_and_by_name(weights) -> None:
    assert find_weights(weights.parent) == find_weights('toy') == weights


def test_a_folder_of_this_name_is_nearer_than_the_zoo(weights, tmp_path) -> None:
    (tmp_path / 'toy').mkdir()
    assert str(find_weights('toy')) == 'toy'


def test_a_wrong_name_suggests_one(weights) -> None:
    with pytest.raises(CheckpointError, match=r"^toi: no such checkpoint .*; did you mean 'toy'\?$"):
        find_weights('toi')


def test_a_changed_file_is_refused(weights) -> None:
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(CheckpointError, match=r'^.*toy-\w+\.safetensors is damaged or was changed: its sha256 '):
        find_weights('toy')


def test_a_folder_with_two_files_of_weights_is_refused(weights) -> None:
    (weights.parent / 'b.safetensors').write_bytes(b'')
    with pytest.raises(CheckpointError, match='holds 2 files of weights instead of one'):
        find_weights('toy')


def test_an_address_is_downloaded_once(weights, server) -> None:
    address = f'{server}/{weights.name}'
    found = find_weights(address)
    assert found.read_bytes() == weights.read_bytes() and found.name == weights.name
    content = weights.read_bytes()
    weights.unlink()
    assert find_weights(address) == found
    found.write_bytes(b'changed')  # it is fetched again, and there is nothing
    with pytest.raises(CheckpointError, match='cannot be fetched'):
        find_weights(address)
    weights.write_bytes(content)
    assert find_weights(address).read_bytes() == content


def test_the_digest_may_follow_the_address(weights, server) -> None:
    (weights.parent / 'plain.safetensors').write_bytes(weights.read_bytes())
    assert find_weights(f'{server}/plain.safetensors#sha256={sha256(weights)}').name == 'plain.safetensors'
    with pytest.raises(CheckpointError, match='states no digest'):
        find_weights(f'{server}/plain.safetensors')


def test_what_arrives_with_another_digest_is_not_kept(weights, server, tmp_path) -> None:
    (weights.parent / 'toy-12345678.safetensors').write_bytes(weights.read_bytes())
    weights.write_bytes(weights.read_bytes()[:-1])  # truncated
    for name in ('toy-12345678.safetensors', weights.name):
        with pytest.raises(CheckpointError, match=r'sent a file whose sha256 does not begin with .*; nothing was kept'):
            find_weights(f'{server}/{name}')
    assert not [path for path in (tmp_path / 'downloads').rglob('*') if path.is_file()]


def test_a_download_that_is_too_large_ends(weights, server, monkeypatch) -> None:
    monkeypatch.setattr(fetch, 'LARGEST', 10)
    with pytest.raises(CheckpointError, match='sends more than 10 bytes'):
        find_weights(f'{server}/{weights.name}')


@pytest.mark.parametrize(
    ('address', 'message'),
    [
        ('ftp://a.org/toy-12345678.safetensors', 'only http and https addresses'),
        ('file:///etc/toy-12345678.safetensors', 'only http and https addresses'),
        ('https://a.org/toy-12345678.pth', 'only safetensors files are fetched'),
        ('http://127.0.0.1:1/toy-12345678.safetensors', 'cannot be fetched'),
        ('hf://owner/file.safetensors', 'the form is hf://OWNER/REPOSITORY/FILE.safetensors'),
    ],
)
def test_other_addresses_are_refused_in_one_line(weights, address, message) -> None:
    with pytest.raises(CheckpointError, match=message) as raised:
        find_weights(address)
    assert address.split('#')[0] in str(raised.value) and '\n' not in str(raised.value)


def test_the_hub(weights, monkeypatch) -> None:
    calls = []
    hub = ModuleType('huggingface_hub')
    hub.hf_hub_download = lambda repository, file: calls.append((repository, file)) or str(weights)
    monkeypatch.setitem(sys.modules, 'huggingface_hub', hub)
    assert find_weights(f'hf://owner/name/sub/{weights.name}') == weights
    assert calls == [('owner/name', f'sub/{weights.name}')]
    with pytest.raises(CheckpointError, match='does not begin with 12345678'):
        find_weights('hf://owner/name/toy-12345678.safetensors')
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(CheckpointError, match=r'pip install "skeattn\[hub\]"'):
        find_weights('hf://owner/name/toy-12345678.safetensors')
