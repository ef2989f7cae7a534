"""Arrays with their facts in one ``.npz`` file, which is read without executing anything."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from skeattn.errors import DataError
from skeattn.files import write_atomic
from skeattn.reading import parse_json, read_arrays

_FACTS = 'facts'
VERSION = 1


def write_archive(
    path: str | os.PathLike[str], kind: str, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> None:
    """Write a file, all or nothing.

    Args:
        path: the file.
        kind: of the content.
        facts: values that JSON can hold.
        arrays: numbers by name.

    Raises:
        StorageError: the disk is full or read-only.
    """
    text = json.dumps({'kind': kind, 'version': VERSION, **facts})
    content: dict[str, Any] = {**arrays, _FACTS: np.array(text)}
    write_atomic(path, lambda file: np.savez(file, **content))


def read_archive(path: str | os.PathLike[str], kind: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Facts and arrays of :func:`write_archive`.

    Raises:
        DataError: the file is missing, damaged, or of another kind or version.
    """
    if not Path(path).is_file():
        raise DataError(f'{path} does not exist; check the path')
    try:
        arrays = read_arrays(path)
        facts = parse_json(str(arrays.pop(_FACTS)))
        found = facts['kind'], facts['version']
    except Exception as error:  # a damaged archive fails in many ways
        raise DataError(f'{path} is damaged, or not a file of a {kind} ({error!r:.100}); make it again') from error
    if found != (kind, VERSION):
        raise DataError(f'{path} holds a {found[0]} of version {found[1]}, not a {kind} of version {VERSION}')
    return facts, arrays
