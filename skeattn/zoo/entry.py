"""The entry of a published encoder: the fields of its ``entry.json``, the only reader and the only writer.

The folder holds the weights, their records, a classifier if there is one, and the model card ``README.md``. Each file
has its digest in the entry.
"""

import json
import os
from collections.abc import Iterator
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, StringConstraints, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from skeattn.errors import CheckpointError, shorten
from skeattn.fetch import ENTRY
from skeattn.files import sha256, write_json
from skeattn.reading import parse_json

VERSION = 1
NAME = r'^[A-Za-z0-9][A-Za-z0-9_.+-]*$'
"""Of encoders and of their files, which lie directly in the folder."""
_STRICT = ConfigDict(strict=True, extra='forbid')
Name = Annotated[str, StringConstraints(pattern=NAME)]
Digest = Annotated[str, StringConstraints(pattern='^[0-9a-f]{64}$')]


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class PublishedFile:
    """A file of the folder and its digest."""

    file: Name
    sha256: Digest


@dataclass(frozen=True, kw_only=True, config=_STRICT)
class Entry:
    """A published encoder.

    Attributes:
        name: of the encoder, and of its folder.
        weights: its safetensors file.
        checkpoint_sha256: digest of the checkpoint that the weights come from, which its records name.
        facts: of the encoder and its training, see :func:`skeattn.zoo.publish.entry_facts`.
        records: of its evaluations.
        classifier: for a few labelled clips, if one was published.
    """

    name: Name
    weights: PublishedFile
    checkpoint_sha256: Digest
    facts: dict[str, Any]
    records: list[PublishedFile] = field(default_factory=list)
    classifier: PublishedFile | None = None

    @property
    def files(self) -> Iterator[PublishedFile]:
        """All files with a digest."""
        yield self.weights
        yield from self.records
        if self.classifier is not None:
            yield self.classifier

    def faults(self, folder: Path) -> list[str]:
        """A line for each file that is missing or has another digest."""
        missing = [f'{one.file} is missing' for one in self.files if not (folder / one.file).is_file()]
        there = [one for one in self.files if (folder / one.file).is_file()]
        return missing + [f'{one.file} was changed: its sha256 differs from {ENTRY}' for one in there
                          if sha256(folder / one.file) != one.sha256]  # fmt: skip


_ENTRY = TypeAdapter(Entry)


def read_entry(folder: str | os.PathLike[str]) -> Entry:
    """The entry of a folder.

    Raises:
        CheckpointError: there is none, it is damaged, or of a newer version; names the field.
    """
    path = Path(folder) / ENTRY
    try:
        content = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CheckpointError(f'{path} cannot be read ({str(error)[:120]}); publish the encoder again') from error
    version = content.pop('version', None) if isinstance(content, dict) else None
    if version != VERSION or isinstance(version, bool):
        raise CheckpointError(f'{path} has version {version!r}, this skeattn reads {VERSION}; install a newer skeattn')
    try:
        # Only as JSON does strict validation accept an object for a dataclass.
        return _ENTRY.validate_json(json.dumps(content))
    except ValidationError as error:
        wrong = [f'{".".join(map(str, one["loc"]))}: {one["msg"].lower()}' for one in error.errors()]
        raise CheckpointError(f'{path} is no valid entry: {shorten(wrong)}; publish the encoder again') from error


def write_entry(folder: str | os.PathLike[str], entry: Entry) -> None:
    """Write the entry of a folder, all or nothing."""
    content: dict[str, Any] = _ENTRY.dump_python(entry, exclude_defaults=True)
    write_json(Path(folder) / ENTRY, {'version': VERSION, **content})
