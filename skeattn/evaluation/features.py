"""Features of a whole data set, extracted once and shared by all evaluators."""

import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.dist import all_gather, get_dist_info
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from skeattn.checkpoint import note_clip_length
from skeattn.datasets.sampler import homogeneous
from skeattn.datasets.splits import held_out_subjects
from skeattn.errors import ConfigError, NonFiniteError
from skeattn.models.encoder import FeatureMap, present_persons
from skeattn.models.readout import MEAN, READOUTS, check_readout, split_source, with_readout
from skeattn.progress import progress

NO_HELD_OUT = 'the subjects of the training clips are unknown or only one'
"""Reason of :func:`hold_out` for None."""
CLIPS = 1024
"""Clips that are read at a time."""


@dataclass
class Features:
    """One vector per clip, with the facts about the clip that evaluators need; all on the CPU.

    Args:
        x: (N, D) float32, not normalised.
        labels: (N,) int64.
        subjects: (N,) int64, -1 where unknown.
        names: N clip names.
        num_streams: number of streams whose features are concatenated in x, in equal parts (CrosSCLR).
    """

    x: Tensor
    labels: Tensor
    subjects: Tensor
    names: list[str]
    num_streams: int = 1

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: Tensor) -> 'Features':
        """The clips at ``indices`` (int64, in that order)."""
        names = [self.names[i] for i in indices.tolist()]
        return Features(self.x[indices], self.labels[indices], self.subjects[indices], names, self.num_streams)


def extract_features(
    model: nn.Module,
    dataset: Any,
    batch_size: int = 256,
    source: str = 'backbone',
    readout: str | None = None,
    autocast: bool = False,
) -> Features:
    """Run the frozen encoder once over a data set.

    The model is in eval mode without gradients; train/eval flags and random state are restored afterwards. In a
    distributed run each process encodes a slice, and all processes return the whole in the data set's order. Batches
    follow each other without waiting: the features stay on the model's device until all clips are encoded.

    Args:
        model: an algorithm with ``features(data, source)``; may be wrapped for distributed training.
        dataset: a ``SkeletonDataset``.
        batch_size: clips per forward pass.
        source: ``'backbone'``, ``'projector'`` or ``'predictor'``; the first also as ``'backbone@joints'``.
        readout: of a source that names none, see :mod:`skeattn.models.readout`; by default the mean.
        autocast: encode under bfloat16 autocast; a map is read in single precision.

    Raises:
        ConfigError: the model has no such features, the readout is unknown, or it is not the mean for clips of several
            layouts.
        NonFiniteError: a feature is NaN or infinite; names the clips.
    """
    model, source = _unwrapped(model), with_readout(source, readout)
    _check_comparable(dataset, source)
    N = len(dataset)
    if hasattr(dataset, 'reside'):
        dataset.reside(_device_of(model))
    rank, world = get_dist_info()
    share = -(-N // world)
    text = note_clip_length(model, int(dataset.__getitems__([0])['inputs'].shape[2])) if rank == 0 else None
    if text:
        print_log(text, 'current', logging.WARNING)
    # The last slices of a small set can be empty. They repeat the last clip, so that every process has features to
    # gather; the surplus is cut off below.
    own = torch.arange(rank * share, (rank + 1) * share).clamp(max=N - 1)
    parts = [part for batch in own.split(batch_size) for part in homogeneous(dataset, batch)]
    batches = progress(parts, 'extracting features', interval_s=2.0 if rank == 0 else math.inf)
    with frozen(model):
        x = torch.cat([_encode(model, dataset, batch, source, autocast) for batch in batches])
    if world > 1:
        x = torch.cat(all_gather(x))
    streams = getattr(model, 'feature_streams', None)
    return _features(dataset, x[:N].cpu(), streams(source) if streams else 1)


def raw_features(dataset: Any, readout: str = MEAN) -> Features:
    """The coordinates: a baseline that an encoder has to beat.

    Args:
        dataset: its ``clips`` are ``(N, C, T, V, M)``.
        readout: ``'mean'`` flattens the whole clip and averages nothing, as the mean over the joints of a centred body
            says nothing. Others read the clip like an encoder's map, see :mod:`skeattn.models.readout`; absent
            persons are left out.

    Raises:
        ConfigError: an unknown readout.
    """
    clips, read = torch.as_tensor(dataset.clips), READOUTS[check_readout(readout)]
    if readout == MEAN:
        return _features(dataset, clips.flatten(1).float().cpu())
    return _features(dataset, torch.cat([read(_as_map(part.float().cpu())) for part in clips.split(CLIPS)]))


def _as_map(clips: Tensor) -> FeatureMap:
    values = clips.permute(0, 4, 1, 2, 3)
    present = present_persons(values).float()
    return FeatureMap(values, present / present.sum(dim=1, keepdim=True).clamp(min=1))


@torch.no_grad()
def calibrate_bn(model: nn.Module, dataset: Any, batch_size: int = 256, source: str = 'backbone') -> None:
    """Replace the BatchNorm running statistics by those of the data set's clips.

    A freshly initialised network normalises with mean 0 and variance 1, which is no fair baseline. The statistics are
    the plain average over near-equal batches in a fixed shuffled order; only BatchNorm is in train mode meanwhile.
    Layers that ``source`` does not use keep their statistics.
    """
    model = _unwrapped(model)
    layers = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    momenta = [layer.momentum for layer in layers]
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))
    with frozen(model):
        for layer in layers:
            layer.train()
            # Without a momentum torch keeps a cumulative average; its first batch overwrites the old statistics.
            layer.momentum = None
            layer.num_batches_tracked.zero_()  # type: ignore[union-attr]
        for batch in order.tensor_split(-(-len(order) // batch_size)):
            for part in homogeneous(dataset, batch):
                _encode(model, dataset, part, source)
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Eval mode without gradients; every module's flag and the random state are restored afterwards."""
    flags = [(module, module.training) for module in model.modules()]
    devices = sorted({p.device.index for p in model.parameters() if p.device.type == 'cuda'})
    model.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            yield
    finally:
        for module, training in flags:
            module.training = training


def hold_out(bank: Features, fraction: float = 0.2) -> tuple[Features, Features] | None:
    """Split training clips by subject, to choose settings on held-out subjects without test labels.

    Returns:
        (rest, held out), or None if the subjects are unknown or fewer than two.
    """
    if (bank.subjects < 0).any() or len(bank.subjects.unique()) < 2:
        return None
    held = torch.as_tensor(held_out_subjects(bank.subjects.numpy(), fraction))
    return bank.select(torch.nonzero(~held)[:, 0]), bank.select(torch.nonzero(held)[:, 0])


def _unwrapped(model: nn.Module) -> Any:
    return model.module if is_model_wrapper(model) else model


def _device_of(model: nn.Module) -> torch.device:
    return next((p.device for p in model.parameters()), torch.device('cpu'))


def _encode(model: Any, dataset: Any, batch: Tensor, source: str, autocast: bool = False) -> Tensor:
    with torch.autocast(_device_of(model).type, torch.bfloat16, enabled=autocast):
        return model.features(dataset.__getitems__(batch.tolist()), source=source).float()


def _check_comparable(dataset: Any, source: str) -> None:
    """Refuse features joint by joint of clips that have different joints."""
    groups, readout = getattr(dataset, 'groups', None), split_source(source)[1]
    if groups is not None and len(groups.unique()) > 1 and readout != MEAN:
        raise ConfigError(
            f'readout={readout!r}: clips of several skeleton layouts cannot be compared joint by joint; use the '
            f'readout {MEAN!r}, or evaluate one set, test.py --dataset'
        )


def _features(dataset: Any, x: Tensor, num_streams: int = 1) -> Features:
    names = [str(name) for name in dataset.names]
    finite = torch.isfinite(x).all(dim=1)
    if not finite.all():
        bad = torch.nonzero(~finite)[:, 0].tolist()
        shown = ', '.join(names[i] for i in bad[:5])
        raise NonFiniteError(
            f'features of {len(bad)} of {len(names)} clips are NaN or infinite, first {shown}; '
            f'check these clips with skeattn verify, and the weights if all clips are listed'
        )
    labels, subjects = (torch.as_tensor(column).long().cpu() for column in (dataset.labels, dataset.subjects))
    return Features(x, labels, subjects, names, num_streams)
