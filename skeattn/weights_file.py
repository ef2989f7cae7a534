"""Weights without a training: one safetensors file with the facts that a checkpoint has. Reading executes nothing."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from skeattn.errors import CheckpointError
from skeattn.files import write_atomic
from skeattn.reading import parse_json

_KEY = 'skeattn'


def write_weights(path: str | os.PathLike[str], state: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write a file, all or nothing. The same weights and facts give the same bytes.

    Args:
        path: the file.
        state: tensors by name.
        meta: values that JSON can hold; their order is kept, as the steps of a pipeline need it.

    Raises:
        StorageError: the disk is full or read-only.
    """
    from safetensors.torch import save

    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
    content = save(tensors, {_KEY: json.dumps(meta)})
    write_atomic(path, lambda file: file.write(content))


def read_weights(path: str | os.PathLike[str], map_location: Any = 'cpu') -> dict[str, Any]:
    """``{'state_dict', 'meta'}`` of a file of :func:`write_weights`; of other safetensors files ``meta`` is empty.

    The header is checked against the size of the file before a tensor is read.

    Raises:
        CheckpointError: the file is damaged, or its facts are not JSON.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(Path(path), 'pt') as file:
            meta = parse_json((file.metadata() or {}).get(_KEY, '{}'))
            state = {name: file.get_tensor(name).to(map_location) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f'{path} is damaged ({str(error)[:120]}); fetch or publish it again') from error
    if not isinstance(meta, dict) or not state:
        raise CheckpointError(f'{path} holds no weights with facts; publish it again')
    return {'state_dict': state, 'meta': meta}
