"""Published files by path, name and address; nothing is read before its digest was compared."""

import hashlib
import http.server
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from skeattn.errors import CheckpointError
from skeattn.published import digest_fault, fetch, locate, no_such, published_folders
from skeattn.safe_tensors import pack_tensors, read_tensors

CONTENT = pack_tensors({'w': torch.arange(8.0)}, {'method': 'Test'})
DIGEST = hashlib.sha256(CONTENT).hexdigest()
NAME = f'toy-{DIGEST[:16]}.safetensors'


class Server(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT under any path; the first part of the path is what is wrong with the answer."""

    requests: list[str] = []

    def do_GET(self):
        self.requests.append(self.path)
        kind = self.path.split('/')[1]
        if kind == 'absent':
            self.send_error(404)
            return
        if kind == 'moved':
            self.send_response(302)
            self.send_header('Location', f'/good/{NAME}')
            self.end_headers()
            return
        body = {'changed': CONTENT[:-1] + b'?', 'short': CONTENT[:-9]}.get(kind, CONTENT)
        self.send_response(200)
        if kind != 'unsized':
            length = {'large': 1 << 40, 'short': len(CONTENT)}.get(kind, len(body))
            self.send_header('Content-Length', str(length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope='module')
def server():
    """Its address."""
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Server) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{running.server_port}'
        running.shutdown()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache, and no proxy."""
    monkeypatch.setenv('SKEATTN_CACHE', str(tmp_path / 'cache'))
    for name in ('http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'):
        monkeypatch.delenv(name, raising=False)
    Server.requests.clear()
    return tmp_path / 'cache'


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob('*') if path.is_file())


@pytest.mark.parametrize('kind', ['good', 'unsized', 'moved'])
def test_a_file_is_fetched_once(server, cache, kind):
    path = locate(f'{server}/{kind}/{NAME}')
    asked = list(Server.requests)
    assert path.read_bytes() == CONTENT and files(cache) == [NAME] and read_tensors(path)[1] == {'method': 'Test'}
    assert locate(f'{server}/{kind}/{NAME}') == path and Server.requests == asked
    path.write_bytes(b'damaged')  # in the cache, which is compared as well
    assert locate(f'{server}/{kind}/{NAME}').read_bytes() == CONTENT


def test_the_address_can_state_the_digest(server, cache):
    for length in (16, 64):
        path = locate(f'{server}/good/any.safetensors#sha256={DIGEST[:length].upper()}')
        assert path.name == 'any.safetensors' and path.read_bytes() == CONTENT
    with pytest.raises(CheckpointError, match=r'refused: the sha256 of what was fetched is .*, not 000000000000…'):
        locate(f'{server}/good/other.safetensors#sha256={"0" * 64}')
    assert files(cache) == ['any.safetensors']


@pytest.mark.parametrize(
    ('kind', 'reason'),
    [
        ('changed', 'refused: the sha256 of what was fetched is'),
        ('short', 'could not be fetched|ended after'),
        ('large', 'no more than .* are fetched'),
        ('absent', 'could not be fetched: Not Found; check the address and the network'),
    ],
)
def test_what_is_wrong_is_one_line_and_leaves_nothing(server, cache, kind, reason):
    with pytest.raises(CheckpointError, match=reason) as error:
        locate(f'{server}/{kind}/{NAME}')
    assert '\n' not in str(error.value) and files(cache) == []


def test_an_answer_without_a_size_is_limited_too(server, cache):
    with pytest.raises(CheckpointError, match='no more than 10 are fetched'):
        fetch(f'{server}/unsized/{NAME}', largest=10)
    assert files(cache) == []


@pytest.mark.parametrize(
    ('address', 'reason'),
    [
        ('ftp://host/' + NAME, 'an address begins with https://, http://, hf://'),
        ('file:///etc/' + NAME, 'an address begins with https://'),
        ('https://host/toy.safetensors', 'its digest is not known'),
        ('https://host/toy-01234567.safetensors', 'its digest is not known'),
        (f'https://host/{NAME}#sha256=0123', 'its digest is not known'),
        (f'https://host/{NAME}#md5={"0" * 32}', 'its digest is not known'),
        ('https://host/epoch_300.pth', 'its name should end with .safetensors'),
        ('https://host/..%2f..%2fa-0123456789abcdef.safetensors', 'is no published file'),
        ('hf://owner/' + NAME, 'give hf://OWNER/REPOSITORY/FILE'),
        ('http://127.0.0.1:1/' + NAME, 'could not be fetched: '),
        ('http://[::1/' + NAME, 'is no address'),
    ],
)
def test_wrong_addresses(address, reason, cache):
    with pytest.raises(CheckpointError, match=reason):
        locate(address)
    assert files(cache) == []


def test_the_hub(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'huggingface_hub', None)
    with pytest.raises(CheckpointError, match=r'needs huggingface_hub; install it with pip install "skeattn\[hub\]"'):
        locate(f'hf://owner/repository/{NAME}')
    asked = []

    def download(repo_id, filename, revision):
        asked.append((repo_id, filename, revision))
        if repo_id == 'owner/gone':
            raise RuntimeError('404 Client Error\nmore')
        path = tmp_path / 'hub'
        path.write_bytes(CONTENT if repo_id == 'owner/repository' else b'other')
        return str(path)

    monkeypatch.setitem(sys.modules, 'huggingface_hub', SimpleNamespace(hf_hub_download=download))
    assert locate(f'hf://owner/repository@v1/folder/{NAME}').read_bytes() == CONTENT
    assert asked == [('owner/repository', f'folder/{NAME}', 'v1')]
    assert locate(f'hf://owner/repository/any.safetensors#sha256={DIGEST}') == tmp_path / 'hub'
    with pytest.raises(CheckpointError, match='refused'):
        locate(f'hf://owner/changed/{NAME}')
    with pytest.raises(CheckpointError, match='could not be fetched: 404 Client Error; check'):
        locate(f'hf://owner/gone/{NAME}')


def test_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'zoo/toy').mkdir(parents=True)
    (tmp_path / 'zoo/notes').mkdir()
    file = tmp_path / 'zoo/toy' / NAME
    file.write_bytes(CONTENT)
    assert locate('toy').resolve() == file and locate('zoo/toy').resolve() == file
    assert [folder.name for folder in published_folders()] == ['toy']
    assert locate('absent') == Path('absent') and locate('../toy') == Path('../toy')
    assert no_such('toi') == "toi: no such checkpoint or work_dir; check the path; in zoo: did you mean 'toy'?"
    (tmp_path / 'toy').mkdir()  # a path comes before a name
    assert locate('toy') == Path('toy')
    assert locate('toy', zoo=tmp_path / 'zoo') == Path('toy')
    monkeypatch.setenv('SKEATTN_ZOO', str(tmp_path / 'elsewhere'))
    assert no_such('toi') == 'toi: no such checkpoint or work_dir; check the path'


def test_the_digest_of_a_name():
    assert digest_fault(NAME, DIGEST) == '' and digest_fault('epoch_1.pth', DIGEST) == ''
    assert digest_fault('a-01234567.pth', DIGEST) == f'its sha256 is {DIGEST[:12]}…, not that of its name'
