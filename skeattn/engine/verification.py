"""What a checkpoint holds, and whether it is intact: digest, state of its training, shapes and values."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from skeattn.checkpoint import load_weights, read_checkpoint
from skeattn.engine.build import config_of
from skeattn.errors import SkeAttnError, shorten
from skeattn.files import sha256
from skeattn.published import NAMED
from skeattn.registry import MODELS

FACTS = (
    'method', 'backbone', 'stream', 'layout', 'num_frames', 'epoch', 'iter', 'seed', 'data', 'split', 'metric', 'score',
)  # fmt: skip
RESUMABLE = {'optimizer', 'param_schedulers', 'message_hub'}


@dataclass(frozen=True)
class Verification:
    """What is known of a checkpoint.

    Args:
        facts: name -> text.
        faults: what is wrong with it, a line each; empty if it is intact.
    """

    facts: dict[str, str]
    faults: list[str]


def verify_checkpoint(path: Path, digest: str | None = None) -> Verification:
    """Read a checkpoint safely and check what can be checked.

    The digest is compared with the one given, with a file ``<name>.sha256`` beside it, and with the end of a published
    name (``name-1a2b3c4d.pth``, also ``.safetensors``). Parts of the archive are compared with their checksums, the
    state of the training with the types and ranges that a training writes. The weights must be finite and have the
    shapes of the network that the stored config describes; that is built, and nothing else of the config is run.

    Args:
        path: of the file.
        digest: its expected sha256, or the beginning of it.

    Raises:
        CheckpointError: there is no such file.
    """
    try:
        checkpoint = read_checkpoint(path)
    except SkeAttnError as error:
        if not path.is_file():
            raise
        return Verification({'sha256': sha256(path)}, [str(error)])
    state, meta = checkpoint['state_dict'], checkpoint['meta']
    facts = {key: str(meta[key]) for key in FACTS if meta.get(key) is not None}
    facts['weights'] = f'{len(state)} tensors, {sum(value.numel() for value in state.values()):,} values'
    missing = sorted(RESUMABLE - checkpoint.keys())
    facts['resume'] = f'no, it lacks {", ".join(missing)}' if missing else 'yes'
    versions = meta.get('versions')
    if isinstance(versions, Mapping):
        facts['versions'] = ', '.join(f'{name} {version}' for name, version in versions.items())
    facts['sha256'] = sha256(path)
    faults = [*_of_digest(path, facts['sha256'], digest), *_of_values(state)]
    facts['shapes'], fault = _shapes(path, state, meta)
    return Verification(facts, faults + ([fault] if fault else []))


def _of_digest(path: Path, found: str, digest: str | None) -> list[str]:
    expected: dict[str, str | None] = {'the one given': digest}
    beside, named = path.with_name(f'{path.name}.sha256'), NAMED.search(path.name)
    if beside.is_file():
        expected[str(beside)] = (beside.read_text(errors='replace').split() or [''])[0]
    if named:
        expected['its name'] = named[1]
    differing = [where for where, text in expected.items() if text is not None and not _begins(found, text)]
    return [f'its sha256 is {found[:12]}…, not that of {where}' for where in differing]


def _begins(found: str, text: str) -> bool:
    return bool(text) and found.startswith(text.lower())


def _of_values(state: Mapping[str, Tensor]) -> list[str]:
    broken = [name for name, value in state.items() if not value.isfinite().all()]
    return [f'{len(broken)} tensors hold NaN or infinity: {shorten(broken)}'] if broken else []


def _shapes(path: Path, state: Mapping[str, Tensor], meta: Mapping[str, Any]) -> tuple[str, str]:
    """What was compared, and what does not fit."""
    try:
        model = MODELS.build(config_of(path).model)
    except SkeAttnError as error:
        return f'not compared: {error}', ''
    try:
        report = load_weights(model, state, path, min_match=1, meta=meta)
    except SkeAttnError as error:
        return 'compared with the network of its config', str(error)
    return f'those of {type(model).__name__}: {report}', ''
