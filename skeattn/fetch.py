"""Published weights by name, address or path: downloaded once, and compared with a digest before anything is read."""

import hashlib
import http.client
import os
import re
import urllib.request
from pathlib import Path
from urllib.parse import urldefrag, urlparse

from skeattn.errors import CheckpointError, did_you_mean
from skeattn.files import replacing, sha256

ENTRY = 'entry.json'
"""In the folder of a published encoder."""
SAFE = '.safetensors'
"""Suffix of published weights, see :mod:`skeattn.weights_file`."""
SUFFIXES = ('.pth', '.pt', SAFE)
"""Suffixes of all files of weights."""
DIGEST = re.compile(r'-([0-9a-f]{8,64})\.(?:pth|safetensors|npz)$')
"""The end of the name of a published file: the beginning of its digest."""
ZOO, DOWNLOADS = 'SKEATTN_ZOO', 'SKEATTN_DOWNLOADS'
"""Environment variables: folder of published encoders (``zoo``), and of downloads (``~/.cache/skeattn``)."""
LARGEST = 1 << 31
"""Bytes of a download."""
SECONDS = 30.0
HUB = 'hf://'


def find_weights(reference: str | os.PathLike[str]) -> Path:
    """The file of published weights, downloaded if necessary; a path of something else is returned as it is.

    Args:
        reference: a path; the folder of a published encoder; its name in the folder ``$SKEATTN_ZOO``; an address
            ``https://.../NAME-1a2b3c4d.safetensors``, whose digest may also follow as ``#sha256=...``; or
            ``hf://OWNER/REPOSITORY/FILE`` with the extra ``hub``.

    Raises:
        CheckpointError: nothing has this name, the download failed, or the file does not have the digest.
    """
    text = os.fspath(reference)
    if text.startswith(HUB):
        return _checked(_from_hub(text), _digest_of(text))
    if re.match(r'https?:|ftp:|file:', text):
        return _download(text)
    path = Path(text)
    if path.is_dir() and (path / ENTRY).is_file():
        return _weights_in(path)
    inside = zoo() / text
    if not path.exists() and not path.is_absolute() and (inside / ENTRY).is_file():
        return _weights_in(inside)
    if not path.exists() and path.suffix == '' and path.name == text and zoo().is_dir():
        raise CheckpointError(f'{text}: no such checkpoint or work_dir, and no encoder of {zoo()}; {_similar(text)}')
    return path


def zoo() -> Path:
    """The folder of published encoders."""
    return Path(os.environ.get(ZOO) or 'zoo')


def _similar(name: str) -> str:
    names = sorted(file.parent.name for file in zoo().glob(f'*/{ENTRY}'))
    return did_you_mean(name, names, f'it has {", ".join(names) or "none"}')


def _weights_in(folder: Path) -> Path:
    files = sorted(folder.glob(f'*{SAFE}'))
    if len(files) != 1:
        raise CheckpointError(f'{folder} holds {len(files)} files of weights instead of one; publish it again')
    return _checked(files[0], _digest_of(files[0].name))


def _digest_of(text: str) -> str | None:
    address, fragment = urldefrag(text)
    stated = re.fullmatch(r'sha256=([0-9a-f]{8,64})', fragment)
    named = DIGEST.search(urlparse(address).path)
    return stated[1] if stated else named[1] if named else None


def _checked(path: Path, digest: str | None) -> Path:
    if digest and not sha256(path).startswith(digest):
        raise CheckpointError(f'{path} is damaged or was changed: its sha256 does not begin with {digest}')
    return path


def _download(text: str) -> Path:
    digest, (address, _) = _digest_of(text), urldefrag(text)
    if not address.startswith(('http://', 'https://')):
        raise CheckpointError(f'{text}: only http and https addresses are fetched; pass a path')
    if digest is None:
        raise CheckpointError(
            f'{text} states no digest; use a published name, NAME-1a2b3c4d.safetensors, or #sha256=...'
        )
    name = Path(urlparse(address).path).name
    if not name.endswith(SAFE):
        raise CheckpointError(f'{text}: only safetensors files are fetched')
    target = Path(os.environ.get(DOWNLOADS) or Path.home() / '.cache/skeattn') / digest / name
    if target.is_file() and sha256(target).startswith(digest):
        return target
    with replacing(target) as part:
        _receive(address, part, digest)
    return target


def _receive(address: str, part: Path, digest: str) -> None:
    found, size = hashlib.sha256(), 0
    try:
        with urllib.request.urlopen(address, timeout=SECONDS) as answer, part.open('wb') as file:
            while block := answer.read(1 << 20):
                size += len(block)
                if size > LARGEST:
                    raise CheckpointError(f'{address} sends more than {LARGEST:,} bytes; nothing was kept')
                found.update(block)
                file.write(block)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise CheckpointError(f'{address} cannot be fetched ({str(error)[:120]})') from error
    if not found.hexdigest().startswith(digest):
        raise CheckpointError(f'{address} sent a file whose sha256 does not begin with {digest}; nothing was kept')


def _from_hub(text: str) -> Path:
    owner, _, rest = text.removeprefix(HUB).partition('/')
    repository, _, file = urldefrag(rest)[0].partition('/')
    if not (owner and repository and file.endswith(SAFE)):
        raise CheckpointError(f'{text}: the form is {HUB}OWNER/REPOSITORY/FILE.safetensors')
    try:
        from huggingface_hub import hf_hub_download
    except ImportError as error:
        raise CheckpointError(f'{text} needs: pip install "skeattn[hub]"') from error
    try:
        return Path(hf_hub_download(f'{owner}/{repository}', file))
    except Exception as error:  # the library has many
        raise CheckpointError(f'{text} cannot be fetched ({str(error)[:120]})') from error
