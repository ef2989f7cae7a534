"""Files of tensors with facts in their header (safetensors): nothing in them can run.

Whatever is wrong with a file becomes a ValueError, which the caller turns into an error that names the file.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from skeattn.published import LARGEST, digest_fault
from skeattn.reading import check_size, parse_json

LONGEST_HEADER = 1 << 24
"""Bytes of the header: names and shapes of the tensors, and the facts."""
FACTS = 'skeattn'
"""Key of the facts in the metadata, which hold texts alone: JSON."""


def pack_tensors(tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> bytes:
    """The content of a file; equal arguments give equal bytes.

    Args:
        tensors: by name, on any device; those that share memory are stored separately.
        facts: plain values.

    Raises:
        ValueError: JSON would change the facts.
    """
    text = json.dumps(facts)
    if json.loads(text) != facts:
        raise ValueError('its facts are not values of JSON')
    apart = {name: value.detach().cpu().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()}
    return safetensors.torch.save(apart, {FACTS: text})


def read_tensors(path: str | os.PathLike[str]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors of a file and their facts, none in a file of another program.

    A digest in the name of the file is compared with the content before anything else is read.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file, damaged, not that of its name, or too large.
    """
    path = Path(path)
    check_size(path.stat().st_size, LARGEST)
    content = path.read_bytes()
    if fault := digest_fault(path.name, hashlib.sha256(content).hexdigest()):
        raise ValueError(fault)
    facts = _facts(content)
    try:
        return safetensors.torch.load(content), facts
    except Exception as error:  # of the package, which has errors of its own, and of torch
        raise ValueError(f'no file of tensors ({str(error) or type(error).__name__:.100})') from error


def read_facts(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Only the facts of a file; its tensors and its digest are not read.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file, or its header is damaged.
    """
    with open(path, 'rb') as file:
        start = file.read(8)
        return _facts(start + file.read(min(int.from_bytes(start, 'little'), LONGEST_HEADER + 1)))


def _facts(content: bytes) -> dict[str, Any]:
    length = int.from_bytes(content[:8], 'little')
    if len(content) >= 8 and length > LONGEST_HEADER:
        raise ValueError(f'its header claims {length:,} bytes, and no more than {LONGEST_HEADER:,} are read')
    if length > len(content) - 8:
        raise ValueError('it ends within its header')
    header = parse_json(content[8 : 8 + length])
    metadata = header.get('__metadata__', {}) if isinstance(header, dict) else None
    facts = parse_json(metadata.get(FACTS, '{}')) if isinstance(metadata, dict) else None
    if not isinstance(facts, dict):
        raise ValueError('its header holds no facts by name')
    return facts
