"""Published files, found by path, name or address; what comes from a network is compared with its digest first."""

import hashlib
import http.client
import os
import re
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

from skeattn.errors import CheckpointError, SkeAttnError, did_you_mean
from skeattn.files import replacing, sha256

SUFFIX = '.safetensors'
WEIGHTS = ('.pth', '.pt', SUFFIX)
"""Suffixes of files of weights, those of a training included."""
DIGITS = 16
"""Of the digest in the name of a published file."""
NAMED = re.compile(r'-([0-9a-f]{8,64})\.(?:pth|safetensors)$')
"""The end of the name of a published file: the beginning of its sha256."""
LARGEST = 1 << 32
"""Bytes of a file: a thousand times those of an encoder of skeletons."""
ZOO = 'SKEATTN_ZOO'
"""Variable with the folder of published encoders; by default ``zoo`` in the current folder."""
CACHE = 'SKEATTN_CACHE'
"""Variable with the folder of what can be made again; by default ``skeattn`` in the user's folder of caches."""
HUB = 'hf'
"""Scheme of files of the Hugging Face hub: ``hf://OWNER/REPOSITORY[@REVISION]/FILE``."""
SCHEMES = ('https', 'http', HUB)
SECONDS = 30
"""Until a silent server is given up."""
BLOCK = 1 << 20
_NAME = re.compile(r'\w[\w.+-]*')

Source = str | os.PathLike[str]


def locate(checkpoint: Source, zoo: Source | None = None) -> Path:
    """The local path of a checkpoint.

    Args:
        checkpoint: the path of a file or folder; the folder of a published encoder, for its file; the name of one in
            the zoo; or an address, which is downloaded once: ``https://…/NAME-DIGEST.safetensors``, with ``#sha256=…``
            where the name has no digest, or ``hf://OWNER/REPOSITORY[@REVISION]/FILE``.
        zoo: folder of published encoders, by default :data:`ZOO`.

    Returns:
        the path; unchanged, and perhaps missing, where the checkpoint is none of the others.

    Raises:
        CheckpointError: the file cannot be fetched, is too large, has no or a different digest, or a folder has
            several published files.
    """
    text = os.fspath(checkpoint)
    if re.match(r'\w+://', text):
        return fetch(text)
    path = Path(text)
    if not path.exists() and _NAME.fullmatch(text):
        path = zoo_folder(zoo) / text if (zoo_folder(zoo) / text).is_dir() else path
    return published_file(path) or path


def zoo_folder(zoo: Source | None = None) -> Path:
    """The folder of published encoders."""
    return Path(zoo or os.environ.get(ZOO) or 'zoo')


def published_folders(zoo: Source | None = None) -> list[Path]:
    """The published encoders of a zoo, sorted by name."""
    folder = zoo_folder(zoo)
    return sorted(path for path in folder.glob('*/') if any(path.glob(f'*{SUFFIX}')))


def published_file(folder: Path) -> Path | None:
    """The file of a published encoder; None for what is no folder of one.

    Raises:
        CheckpointError: it has several.
    """
    files = sorted(file for file in folder.glob(f'*{SUFFIX}') if NAMED.search(file.name)) if folder.is_dir() else []
    if len(files) > 1:
        names = ', '.join(file.name for file in files)
        raise CheckpointError(f'{folder} has {len(files)} published files, {names}; give the path of one of them')
    return files[0] if files else None


def no_such(checkpoint: Source, zoo: Source | None = None) -> str:
    """The message for a checkpoint that :func:`locate` did not find."""
    known = [folder.name for folder in published_folders(zoo)]
    hint = f'; in {zoo_folder(zoo)}: {did_you_mean(os.fspath(checkpoint), known)}' if known else ''
    return f'{os.fspath(checkpoint)}: no such checkpoint or work_dir; check the path{hint}'


def digest_fault(name: str, digest: str) -> str:
    """What is wrong with a file of this name and sha256; empty if they agree, or the name has no digest."""
    named = NAMED.search(name)
    return '' if named is None or digest.startswith(named[1]) else f'its sha256 is {digest[:12]}…, not that of its name'


def fetch(address: str, largest: int = LARGEST) -> Path:
    """Download a file into the cache, unless it is there.

    Args:
        address: see :func:`locate`.
        largest: bytes.

    Raises:
        CheckpointError: see :func:`locate`; nothing is left in the cache.
    """
    try:
        parts = urllib.parse.urlsplit(address)
    except ValueError as error:
        raise CheckpointError(f'{address} is no address: {error}') from None
    name, digest = _named(address, parts)
    if parts.scheme == HUB:
        return _from_hub(address, parts, digest)
    path = cache_folder() / digest[:DIGITS] / name
    if path.is_file() and sha256(path).startswith(digest):
        return path
    try:
        request = urllib.request.Request(address.partition('#')[0], headers={'User-Agent': 'skeattn'})
        with urllib.request.urlopen(request, timeout=SECONDS) as answer, replacing(path) as scratch:
            found = _copy(answer, scratch, largest)
            _check(address, found, digest)
    except SkeAttnError:
        raise
    except (OSError, ValueError, http.client.HTTPException) as error:
        if isinstance(error, PermissionError | NotADirectoryError):
            raise  # of the cache, not of the network
        reason = getattr(error, 'reason', None) or error
        raise CheckpointError(f'{address} could not be fetched: {reason}; check the address and the network') from error
    return path


def cache_folder() -> Path:
    """The folder of downloads."""
    folder = os.environ.get(CACHE)
    home = os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache'
    return (Path(folder) if folder else Path(home) / 'skeattn') / 'zoo'


def _named(address: str, parts: urllib.parse.SplitResult) -> tuple[str, str]:
    """Name of the file and its digest, or the beginning of it."""
    if parts.scheme not in SCHEMES:
        raise CheckpointError(f'{address}: an address begins with {", ".join(f"{one}://" for one in SCHEMES)}')
    name = urllib.parse.unquote(parts.path.rpartition('/')[2])
    if not name.endswith(SUFFIX) or not _NAME.fullmatch(name):
        raise CheckpointError(f'{address} is no published file: its name should end with {SUFFIX}')
    named = NAMED.search(name)
    digest = parts.fragment.removeprefix('sha256=').lower() if parts.fragment or named is None else named[1]
    if not re.fullmatch(rf'[0-9a-f]{{{DIGITS},64}}', digest):
        raise CheckpointError(
            f'{address}: its digest is not known, so the file could be any; add #sha256=DIGEST, at least {DIGITS} '
            f'digits of its sha256'
        )
    return name, digest


def _copy(answer: Any, path: Path, largest: int) -> str:
    """Write what a server sends and return its sha256."""
    declared = int(answer.headers.get('Content-Length') or 0)
    digest, size = hashlib.sha256(), 0
    with open(path, 'wb') as file:
        while block := answer.read(BLOCK):
            size += len(block)
            if max(size, declared) > largest:
                raise CheckpointError(
                    f'{answer.url} has {max(size, declared):,} bytes or more, and no more than {largest:,} are fetched'
                )
            digest.update(block)
            file.write(block)
    if declared and size != declared:
        raise CheckpointError(f'{answer.url} ended after {size:,} of {declared:,} bytes; fetch it again')
    return digest.hexdigest()


def _from_hub(address: str, parts: urllib.parse.SplitResult, digest: str) -> Path:
    owner, (repository, *inside) = parts.netloc, parts.path.strip('/').split('/')
    if not owner or not inside:
        raise CheckpointError(f'{address}: give {HUB}://OWNER/REPOSITORY/FILE')
    try:
        import huggingface_hub
    except ModuleNotFoundError:
        text = f'{address} needs huggingface_hub; install it with pip install "skeattn[hub]"'
        raise CheckpointError(text) from None
    repository, _, revision = repository.partition('@')
    try:
        path = Path(
            huggingface_hub.hf_hub_download(f'{owner}/{repository}', '/'.join(inside), revision=revision or None)
        )
    except Exception as error:  # the package has many errors of its own
        first = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointError(f'{address} could not be fetched: {first}; check the address and the network') from error
    _check(address, sha256(path), digest)
    return path


def _check(address: str, found: str, digest: str) -> None:
    if not found.startswith(digest):
        raise CheckpointError(
            f'{address} refused: the sha256 of what was fetched is {found[:12]}…, not {digest[:12]}…; the file was '
            f'changed or damaged on its way'
        )
