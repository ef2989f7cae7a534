"""Arrays with their facts in one ``.npz`` file, which is read without executing anything."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from skeattn.errors import DataError
from skeattn.files import write_atomic
from skeattn.reading import parse_json, read_arrays

_FACTS = 'facts'
VERSION = 1
T = TypeVar('T')


class Form(NamedTuple):
    """The type of an array in a file, and its number of axes."""

    dtype: type[np.generic]
    ndim: int


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


def read_archive(
    path: str | os.PathLike[str], kind: str, facts: type[T], forms: Mapping[str, Form]
) -> tuple[T, dict[str, np.ndarray]]:
    """Facts and arrays of :func:`write_archive`.

    Args:
        path: the file.
        kind: of the content.
        facts: dataclass with the types of the facts, which pydantic checks.
        forms: of the arrays that it must hold; numbers are to be finite.

    Raises:
        DataError: the file is missing, damaged, or of another kind or version.
    """
    if not Path(path).is_file():
        raise DataError(f'{path} does not exist; check the path')
    try:
        arrays = read_arrays(path)
        content = parse_json(str(arrays.pop(_FACTS)))
        found = content['kind'], content['version']
    except Exception as error:  # a damaged archive fails in many ways
        raise DataError(f'{path} is damaged, or not a file of a {kind} ({error!r:.100}); make it again') from error
    if found != (kind, VERSION):
        raise DataError(f'{path} holds a {found[0]} of version {found[1]}, not a {kind} of version {VERSION}')
    try:
        checked = TypeAdapter(facts).validate_python(content)
        return checked, {name: _of_form(arrays, name, form) for name, form in forms.items()}
    except ValidationError as error:
        first = error.errors()[0]
        what = f'{".".join(map(str, first["loc"]))}: {first["msg"]}'
    except ValueError as error:
        what = str(error)
    raise DataError(f'{path} is damaged ({what}); make the {kind} again')


def _of_form(arrays: Mapping[str, np.ndarray], name: str, form: Form) -> np.ndarray:
    """An array of a file.

    Raises:
        ValueError: it is missing, or of another form.
    """
    array = arrays.get(name)
    if array is None:
        raise ValueError(f'it lacks the array {name}')
    if not np.issubdtype(array.dtype, form.dtype) or array.ndim != form.ndim:
        raise ValueError(f'{name} is an array of {array.dtype} {array.shape}')
    if np.issubdtype(form.dtype, np.floating) and not np.isfinite(array).all():
        raise ValueError(f'{name} holds a NaN or an infinite value')
    return array


def tensors(arrays: Mapping[str, np.ndarray], *names: str) -> dict[str, Tensor]:
    """Some of the arrays as tensors."""
    return {name: torch.from_numpy(arrays[name]) for name in names}
