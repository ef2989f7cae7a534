"""Damage to a file: of its bytes, of its lines and numbers as text, and of what it holds, with checksums that fit."""

import io
import random
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from skeattn.torture.nodes import change_file

KINDS = (
    'bit', 'overwrite', 'truncate', 'zero', 'repeat', 'insert', 'empty', 'number', 'line', 'missing', 'folder', 'other',
    'node', 'member',
)  # fmt: skip
_NUMBER = re.compile(rb'-?\d+(?:\.\d+)?')
_NUMBERS = (b'-1', b'0', b'nan', b'1e400', b'1e30', b'99999999999999999999', b'4294967296', b'0.5', b'', b'x', b'-inf')


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
    if kind == 'node':
        what = change_file(path, draw)
        return None if what is None else Damage(what, consistent=True)
    if kind == 'member':
        return _member(path, content, draw)
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


def _line(content: bytes, draw: random.Random) -> tuple[bytes, str]:
    """A line of a text removed, repeated, moved, without a word or joined with the next one."""
    lines = content[:200_000].splitlines(keepends=True)
    if b'\0' in content or not lines:
        return content, ''
    at, how = draw.randrange(len(lines)), draw.choice(['removed', 'repeated', 'moved', 'without a word', 'joined'])
    line = lines.pop(at)
    if how == 'repeated':
        lines[at:at] = [line, line]
    elif how == 'moved':
        lines.insert(draw.randrange(len(lines) + 1), line)
    elif how == 'joined':
        lines.insert(at, line.rstrip())
    elif how == 'without a word':
        words = re.split(rb'([\s,;]+)', line)
        del words[draw.randrange(len(words))]
        lines.insert(at, b''.join(words))
    return b''.join(lines) + content[200_000:], f'{at} {how}'


_BYTES: dict[str, Callable[[bytes, random.Random], tuple[bytes, str]]] = {
    'bit': _bit,
    'overwrite': _overwrite,
    'truncate': _truncate,
    'zero': _zero,
    'repeat': _repeat,
    'insert': _insert,
    'empty': lambda content, draw: (b'', ''),
    'number': _number,
    'line': _line,
}


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
