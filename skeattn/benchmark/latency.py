"""Time of a trained network on single clips and batches: as a module, as an exported program, as ONNX."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from skeattn.benchmark.rounds import Clock, Group, Row, Variant, measure_group
from skeattn.deployment import FORMATS, DeployedNetwork, export_network
from skeattn.errors import ConfigError


def latencies(
    network: DeployedNetwork, clips: Sequence[int], rounds: int, kinds: Sequence[str] = tuple(FORMATS)
) -> Iterator[tuple[int, list[Row]]]:
    """For each number of clips the rows of all alternatives, timed in turn; the ratios are to the module.

    Args:
        network: the network; its clips have the length of the training.
        clips: batch sizes.
        rounds: calls of each alternative.
        kinds: formats besides the module itself.

    Raises:
        ConfigError: no clips or no rounds, or a package is missing; see also
            :func:`~skeattn.deployment.export_network`.
    """
    if rounds < 1 or not clips or min(clips) < 1:
        raise ConfigError(f'clips={list(clips)} and rounds={rounds} must be at least 1')
    with tempfile.TemporaryDirectory() as folder:
        runs: dict[str, Any] = {'module': network}
        for kind in kinds:
            runs[kind] = FORMATS[kind].load(export_network(network, Path(folder) / kind, kind).path)
        for count in clips:
            inputs = network.example(count)
            variants = [
                Variant(name, lambda run=run, inputs=inputs: run(*inputs), count, counted=name == 'module')  # type: ignore[misc]
                for name, run in runs.items()
            ]
            with torch.inference_mode():
                yield count, measure_group(Group(f'{count} clips', variants), rounds, Clock('cpu', threads=2))
