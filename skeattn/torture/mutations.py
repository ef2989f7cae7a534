"""Damage to a file: of its bytes, of its numbers as text, and of the values within, with checksums that fit."""

import io
import json
import pickle
import random
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

BYTES = ('bit', 'overwrite', 'truncate', 'zero', 'repeat', 'insert', 'empty', 'number', 'missing', 'folder', 'other')
INSIDE = ('node', 'member')
KINDS = (*BYTES, *INSIDE)
_NUMBER = re.compile(rb'-?\d+(?:\.\d+)?')
_NUMBERS = (b'-1', b'0', b'nan', b'1e400', b'1e30', b'99999999999999999999', b'4294967296', b'0.5', b'', b'x', b'-inf')
DEEP = '@deep@'
_VALUES: tuple[Any, ...] = (
    None, True, 0, 5, -1, 10**25, 1.5, float('nan'), float('inf'), 1e300, 'x', '', [], {}, [None], {'a': 1}, [[1], [2]],
    DEEP,
)  # fmt: skip


class Damage(NamedTuple):
    """What was done.

    Args:
        what: in a few words.
        consistent: the file was written anew, so that its checksums fit.
    """

    what: str
    consistent: bool = False


def damage(path: Path, kind: str, draw: random.Random, others: list[Path]) -> Damage | None:
    """Damage a file; None where this kind does nothing to it.

    Args:
        path: the file.
        kind: of :data:`KINDS`.
        draw: what is random.
        others: files of other kinds, one of which may take its place.
    """
    content = path.read_bytes()
    if kind in INSIDE:
        return _inside(path, content, kind, draw)
    if kind == 'missing':
        path.unlink()
        return Damage('it is missing')
    if kind == 'folder':
        path.unlink()
        path.mkdir()
        return Damage('a folder of its name')
    if kind == 'other':
        other = draw.choice(others)
        path.write_bytes(other.read_bytes())
        return Damage(f'the content of {other.name}', consistent=other.suffix == path.suffix)
    changed, what = _BYTES[kind](content, draw) if content else (content, '')
    if changed == content:
        return None
    path.write_bytes(changed)
    return Damage(f'{kind} {what}')


def _bit(content: bytes, draw: random.Random) -> tuple[bytes, str]:
    at, bit = draw.randrange(len(content)), draw.randrange(8)
    return content[:at] + bytes([content[at] ^ 1 << bit]) + content[at + 1 :], f'{bit} of byte {at}'


def _overwrite(content: bytes, draw: random.Random) -> tuple[bytes, str]:
    at, new = draw.randrange(len(content)), draw.randbytes(draw.randint(1, 16))
    return content[:at] + new + content[at + len(new) :], f'{new.hex()} at {at}'


def _truncate(content: bytes, draw: random.Random) -> tuple[bytes, str]:
    at = draw.randrange(len(content))
    return content[:at], f'to {at} bytes'


def _zero(content: bytes, draw: random.Random) -> tuple[bytes, str]:
    at, count = draw.randrange(len(content)), draw.choice([1, 64, 4096])
    new = bytes(min(count, len(content) - at))
    return content[:at] + new + content[at + len(new) :], f'{len(new)} bytes at {at}'


def _repeat(content: bytes, draw: random.Random) -> tuple[bytes, str]:
    at, count = draw.randrange(len(content)), draw.choice([1, 64, 4096])
    return content[: at + count] + content[at:], f'{count} bytes at {at}'


def _insert(content: bytes, draw: random.Random) -> tuple[bytes, str]:
    at, new = draw.randrange(len(content)), draw.randbytes(draw.randint(1, 16))
    return content[:at] + new + content[at:], f'{new.hex()} at {at}'


def _number(content: bytes, draw: random.Random) -> tuple[bytes, str]:
    """Another number in a text, or in the header of an array."""
    places = list(_NUMBER.finditer(content[:200_000]))
    if not places:
        return content, ''
    place, new = draw.choice(places), draw.choice(_NUMBERS)
    return content[: place.start()] + new + content[place.end() :], f'{place[0]!r} -> {new!r} at {place.start()}'


_BYTES: dict[str, Callable[[bytes, random.Random], tuple[bytes, str]]] = {
    'bit': _bit,
    'overwrite': _overwrite,
    'truncate': _truncate,
    'zero': _zero,
    'repeat': _repeat,
    'insert': _insert,
    'empty': lambda content, draw: (b'', ''),
    'number': _number,
}


def _inside(path: Path, content: bytes, kind: str, draw: random.Random) -> Damage | None:
    if kind == 'member':
        return _member(path, content, draw)
    loads = _LOADS.get(path.suffix, _from_json if content[:1] in b'{["' and content else None)
    if loads is None:
        return None
    try:
        value, what = change_node(loads(content), draw)
    except ValueError:  # JSON line by line
        return None
    if path.suffix != '.pth' and path.suffix != '.pkl':
        text = json.dumps(value).replace(f'"{DEEP}"', '[' * 100_000 + ']' * 100_000)
        path.write_text(text)
        checksum = path.with_name(f'{path.stem}.sha256')
        if checksum.exists():
            from skeattn.datasets.packed import checksum_line

            checksum.write_text(checksum_line(path))
    elif path.suffix == '.pkl':
        path.write_bytes(pickle.dumps(value, 4))
    else:
        torch.save(value, path)
    return Damage(what, consistent=True)


def _from_json(content: bytes) -> Any:
    return json.loads(content)


_LOADS: dict[str, Callable[[bytes], Any]] = {
    '.json': _from_json,
    '.pkl': pickle.loads,
    '.pth': lambda content: torch.load(io.BytesIO(content), weights_only=True),
}


def change_node(value: Any, draw: random.Random) -> tuple[Any, str]:
    """The value with one of its parts replaced, removed or repeated, and which."""
    places = list(_places(value))
    place = draw.choice(places)
    new = draw.choice(_VALUES)
    if not place:
        return new, f'the whole -> {new!r}'
    holder = value
    for key in place[:-1]:
        holder = holder[key]
    name = '.'.join(map(str, place))
    if isinstance(holder, tuple):
        return new, f'the whole -> {new!r}'
    if draw.random() < 0.2:
        del holder[place[-1]]
        return value, f'{name} removed'
    old = holder[place[-1]]
    if isinstance(old, torch.Tensor | np.ndarray) and draw.random() < 0.7:
        new = draw.choice([old[..., None], old.reshape(-1)[:1], old.reshape(-1)[:0], old * float('nan')])
    holder[place[-1]] = new
    return value, f'{name} -> {str(new)[:60]}'


def _places(value: Any, place: tuple[Any, ...] = (), most: int = 6) -> Any:
    """Paths of the parts; of long lists the first few."""
    yield place
    if isinstance(value, dict):
        for key in list(value)[: most * 5]:
            yield from _places(value[key], (*place, key))
    elif isinstance(value, list):
        for index in range(min(most, len(value))):
            yield from _places(value[index], (*place, index))


def _member(path: Path, content: bytes, draw: random.Random) -> Damage | None:
    """A damaged file within an archive whose checksums are right."""
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return None
    kind = draw.choice(['bit', 'overwrite', 'truncate', 'zero', 'number', 'empty'])
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
        compression = archive.infolist()[0].compress_type if members else zipfile.ZIP_STORED
    name = draw.choice(sorted(members))
    if not members[name]:
        return None
    members[name], what = _BYTES[kind](members[name], draw)
    with zipfile.ZipFile(path, 'w', compression) as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return Damage(f'{name}: {kind} {what}', consistent=True)
