"""ONNX files and exported programs of torch, with metadata, checked against the network that they come from."""

import importlib.util
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

import skeattn
from skeattn.choices import NETWORK_FORMATS
from skeattn.deployment.network import FRAME_AXES, DeployedNetwork
from skeattn.errors import ConfigError, ExportError
from skeattn.files import write_atomic

METADATA = 'skeattn'
"""Key of the metadata in an ONNX file, and name of the extra file ``skeattn.json`` in an exported program."""
TOLERANCE = 1e-4
"""Largest difference from the network, relative to its largest output."""
LONGEST = 4096
"""Rows of the longest clip that an exported graph with free length accepts."""

OLDEST_TORCH = (2, 8)
"""Of exports; the exporters of older versions lack operators, and know too little of free sizes."""

Run = Callable[..., Tensor]


class Format(NamedTuple):
    """A format of networks.

    Args:
        write: writes ``(program, network, facts)`` to a path.
        load: makes a file's graph callable.
        packages: that both need.
        suffix: by which other programs know such a file.
    """

    write: Callable[[Any, DeployedNetwork, dict[str, Any], Path], None]
    load: Callable[[Path], Run]
    packages: tuple[str, ...]
    suffix: str


class Exported(NamedTuple):
    """An exported network.

    Args:
        path: the file.
        facts: its metadata, see :func:`facts_of`.
        difference: largest one from the network, relative to its largest output.
    """

    path: Path
    facts: dict[str, Any]
    difference: float


def export_network(network: DeployedNetwork, path: str | os.PathLike[str], kind: str) -> Exported:
    """Write a network as one graph, and compare it with the original on clips of several counts and lengths.

    The number of clips is free. Their length is free, in steps of the backbone's stride, where the encoder allows it;
    BIGRU's recurrence is unrolled for one length.

    Args:
        network: the network.
        path: the file, replaced when the comparison has passed.
        kind: ``'onnx'``, or ``'torch'`` for an exported program of ``torch.export``.

    Raises:
        ConfigError: an unknown kind, a torch that is too old, or a package that is not installed.
        ExportError: torch cannot export the network, or the exported graph computes something else.
    """
    if kind not in FORMATS:
        raise ConfigError(f'no format {kind!r} of networks; choose {" or ".join(FORMATS)}')
    if tuple(map(int, torch.__version__.split('.')[:2])) < OLDEST_TORCH:
        needed = '.'.join(map(str, OLDEST_TORCH))
        raise ConfigError(f'an export needs torch {needed} or newer, and this is {torch.__version__}; install it')
    form = FORMATS[kind]
    missing = [package for package in form.packages if importlib.util.find_spec(package) is None]
    if missing:
        raise ConfigError(f'{kind} needs {", ".join(missing)}; install them with pip install "skeattn[export]"')
    with _exporting(), torch.no_grad():
        program, free = _program(network)
        facts = facts_of(network, free)
        with tempfile.TemporaryDirectory() as folder:
            draft = Path(folder) / f'draft.{form.suffix}'
            form.write(program, network, facts, draft)
            difference = _difference(network, form.load(draft), free)
            if not difference <= TOLERANCE:
                raise ExportError(
                    f'{path} was not written: the {kind} graph differs from the network by {difference:.1e} of its '
                    f'largest output, more than {TOLERANCE:g}; try another version of torch'
                    f'{" or of ".join(["", *form.packages])}'
                )
            content = draft.read_bytes()
    write_atomic(path, lambda file: file.write(content))
    return Exported(Path(path), facts, difference)


def facts_of(network: DeployedNetwork, free_length: bool) -> dict[str, Any]:
    """The metadata of an exported network, as JSON can hold it.

    ``input``: the axes of the clips, numbers or names; ``missing``: those of the marks of missing joints, if
    they are an input; ``layout`` with the joints in their order, ``channels``, ``stream`` (derived inside the graph),
    and ``pipeline``, the steps that prepare a clip; ``source`` and ``output``; ``classes`` of logits and probabilities;
    ``method``, ``backbone``, ``epoch`` and the versions of the training.
    """
    preprocessor, trained = network.model.data_preprocessor, getattr(network.model, 'trained_on', None) or {}
    C, T, V, M = network.shape
    frames = f'frames, a multiple of {network.stride}' if free_length else T
    stream = preprocessor.stream
    known = ('method', 'backbone', 'epoch', 'num_frames', 'versions')
    facts = {
        'format': 1,
        'input': ['clips', C, frames, V, M],
        **({'missing': ['clips', frames, V, M]} if 'missing' in network.inputs else {}),
        'output': network.output,
        'source': network.source,
        'classes': _classes(network, trained),
        'layout': {'name': network.layout.name, 'joints': list(network.layout.joints)},
        'channels': list(preprocessor.channels),
        'stream': stream if isinstance(stream, str) else list(stream),
        'pipeline': trained.get('pipeline'),
        **{key: trained[key] for key in known if trained.get(key) is not None},
        'exported_by': {'skeattn': skeattn.__version__, 'torch': str(torch.__version__)},
    }
    return json.loads(json.dumps(facts, default=str))


def _classes(network: DeployedNetwork, trained: dict[str, Any]) -> list[str] | None:
    if network.head is not None:
        return network.head.classes
    return trained.get('classes') if network.output == 'logits' else None


def _program(network: DeployedNetwork) -> tuple[Any, bool]:
    """The exported program, and whether the length of clips is free."""
    clips = torch.export.Dim('clips')
    rows = torch.export.Dim('rows', max=LONGEST)
    frames = rows if network.stride == 1 else network.stride * rows
    fails: Exception | None = None
    for free in (True, False):
        dynamic = {name: {0: clips, **({FRAME_AXES[name]: frames} if free else {})} for name in network.inputs}
        try:
            # The default of new versions; the strict tracer knows too little of Python.
            return torch.export.export(network, network.example(3), dynamic_shapes=dynamic, strict=False), free
        except Exception as error:  # torch raises many kinds
            fails = error
    raise ExportError(f'torch cannot export {type(network.model).__name__}: {str(fails).splitlines()[0]}') from fails


def _difference(network: DeployedNetwork, run: Run, free: bool) -> float:
    """The largest difference from the network, relative to its largest output."""
    T = network.shape[1]
    lengths = {T, network.stride * max(3, T // network.stride // 2)} if free else {T}
    worst = 0.0
    for frames in sorted(lengths):
        for clips in (1, 2, 5):
            inputs = network.example(clips, frames)
            expected, found = network(*inputs), run(*inputs)
            if found.shape != expected.shape:
                return float('inf')
            worst = max(worst, float((found - expected).abs().max() / expected.abs().max().clamp(min=1e-12)))
    return worst


def _write_onnx(program: Any, network: DeployedNetwork, facts: dict[str, Any], path: Path) -> None:
    exported = torch.onnx.export(
        program, dynamo=True, input_names=[*network.inputs], output_names=[network.output], verbose=False
    )
    assert exported is not None
    exported.model.metadata_props[METADATA] = json.dumps(facts)
    exported.save(path)


def _load_onnx(path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
    names = [entry.name for entry in session.get_inputs()]

    def run(*inputs: Tensor) -> Tensor:
        arrays = {name: x.numpy() for name, x in zip(names, inputs, strict=True)}
        return torch.from_numpy(np.asarray(session.run(None, arrays)[0]))

    return run


def _write_program(program: Any, network: DeployedNetwork, facts: dict[str, Any], path: Path) -> None:
    torch.export.save(program, path, extra_files={f'{METADATA}.json': json.dumps(facts)})


def _load_program(path: Path) -> Run:
    run: Run = torch.export.load(path).module()
    return run


FORMATS = dict(
    zip(
        NETWORK_FORMATS,
        (
            Format(_write_onnx, _load_onnx, ('onnx', 'onnxscript', 'onnxruntime'), 'onnx'),
            Format(_write_program, _load_program, (), 'pt2'),
        ),
        strict=True,
    )
)
"""By their names."""


@contextmanager
def _exporting() -> Iterator[None]:
    """Without torch's notes about what it tries, and with operators that every version can export."""
    level, fast = logging.root.manager.disable, torch.backends.mha.get_fastpath_enabled()
    logging.disable(logging.WARNING)
    torch.backends.mha.set_fastpath_enabled(False)  # one operator for a whole layer, which not every version can export
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        logging.disable(level)
