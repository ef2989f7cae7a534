"""Damage to the values within a file, which is written anew, so that only values and shapes are wrong."""

import io
import json
import pickle
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.io import loadmat, savemat

DEEP = '@deep@'
"""Stands for lists within lists, deeper than a parser follows."""
_VALUES: tuple[Any, ...] = (
    None, True, 0, 5, -1, 10**25, 1.5, float('nan'), float('inf'), 1e300, 'x', '', [], {}, [None], {'a': 1}, [[1], [2]],
    DEEP,
)  # fmt: skip
_ARRAYS: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
    lambda array: array[..., None],
    lambda array: array.reshape(-1)[:1],
    lambda array: array.reshape(-1)[:0],
    lambda array: array[:-1],
    lambda array: array * float('nan'),
    lambda array: array * -1e30,
    lambda array: array.astype(complex),
    lambda array: array.astype(bool),
    lambda array: array.astype(str),
    lambda array: array.astype(object),
)
_TENSORS: tuple[Callable[[torch.Tensor], torch.Tensor], ...] = (
    lambda tensor: tensor[..., None],
    lambda tensor: tensor.reshape(-1)[:1],
    lambda tensor: tensor.reshape(-1)[:0],
    lambda tensor: tensor * float('nan'),
)


def change_file(path: Path, draw: random.Random) -> str | None:
    """Change one of the values in a file, and say which; None where this does nothing to it."""
    content = path.read_bytes()
    form = _FORMS.get(path.suffix, _JSON if content[:1] in (b'{', b'[', b'"') else None)
    if form is None:
        return None
    loads, dumps = form
    try:
        value, what = change_node(loads(content), draw)
        path.write_bytes(dumps(value))
    except (ValueError, TypeError, IndexError, AttributeError, OSError):  # JSON by lines; values that it cannot hold
        return None
    checksum = path.with_name(f'{path.stem}.sha256')
    if checksum.exists():
        from skeattn.datasets.packed import checksum_line

        checksum.write_text(checksum_line(path))
    return what


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
    if isinstance(old, torch.Tensor) and draw.random() < 0.7:
        new = draw.choice(_TENSORS)(old)
    elif isinstance(old, np.ndarray) and draw.random() < 0.7:
        new = draw.choice(_ARRAYS)(old)
    holder[place[-1]] = new
    return value, f'{name} -> {str(new)[:60]}'


def _places(value: Any, place: tuple[Any, ...] = (), most: int = 6) -> Iterator[tuple[Any, ...]]:
    """Paths of the parts; of long lists the first few."""
    yield place
    if isinstance(value, dict):
        for key in list(value)[: most * 5]:
            yield from _places(value[key], (*place, key))
    elif isinstance(value, list):
        for index in range(min(most, len(value))):
            yield from _places(value[index], (*place, index))


def _written(write: Callable[[Any, Any], Any], value: Any) -> bytes:
    file = io.BytesIO()
    write(file, value)
    return file.getvalue()


def _to_json(value: Any) -> bytes:
    return json.dumps(value).replace(f'"{DEEP}"', '[' * 100_000 + ']' * 100_000).encode()


def _from_npz(content: bytes) -> dict[str, Any]:
    """Arrays by name; JSON texts among them as their values."""
    with np.load(io.BytesIO(content)) as arrays:
        return {name: _facts(array) for name, array in arrays.items()}


def _facts(array: np.ndarray) -> Any:
    return json.loads(str(array)) if array.dtype.kind == 'U' and str(array).startswith('{') else array


def _to_npz(arrays: dict[str, Any]) -> bytes:
    texts = {
        name: _to_json(value).decode() if isinstance(value, dict | list) else value for name, value in arrays.items()
    }
    return _written(lambda file, value: np.savez(file, **value), texts)


def _from_h5(content: bytes) -> dict[str, Any]:
    import h5py

    with h5py.File(io.BytesIO(content), 'r') as file:
        return {name: dataset[()] for name, dataset in file.items()}


def _to_h5(arrays: dict[str, Any]) -> bytes:
    import h5py

    def write(stream: Any, value: dict[str, Any]) -> None:
        with h5py.File(stream, 'w') as file:
            for name, one in value.items():
                file[name] = one

    return _written(write, arrays)


def _from_mat(content: bytes) -> dict[str, Any]:
    return {name: value for name, value in loadmat(io.BytesIO(content)).items() if not name.startswith('__')}


_JSON: tuple[Callable[[bytes], Any], Callable[[Any], bytes]] = (json.loads, _to_json)
_FORMS: dict[str, tuple[Callable[[bytes], Any], Callable[[Any], bytes]]] = {
    '.json': _JSON,
    '.pkl': (pickle.loads, partial(pickle.dumps, protocol=4)),
    '.pth': (
        lambda content: torch.load(io.BytesIO(content), weights_only=True),
        partial(_written, lambda file, value: torch.save(value, file)),
    ),
    '.npy': (
        lambda content: [np.load(io.BytesIO(content))],
        partial(_written, lambda file, value: np.save(file, *value)),
    ),
    '.npz': (_from_npz, _to_npz),
    '.h5': (_from_h5, _to_h5),
    '.mat': (_from_mat, partial(_written, savemat)),
}
