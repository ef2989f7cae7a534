"""What the sections share: sizes, configs, random clips."""

from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor

from skeattn.datasets.native import at_full_length
from skeattn.engine.config import read_config, resolve_config
from skeattn.engine.speed import gpu_bfloat16
from skeattn.hardware import cpu_bfloat16
from skeattn.toolbox import CONFIGS

TWO_PERSONS = 0.3
"""Share of the clips in which the second person is present, as in NTU RGB+D."""

NTU = 'stgcn_ntu60_xsub'
METHOD_CONFIGS = {
    'SkeAttnCLR': f'skeattnclr/{NTU}_released',
    'SkeletonCLR': f'skeletonclr/{NTU}_released',
    'AimCLR': f'aimclr/{NTU}_released',
    'SkeleMixCLR': f'skelemixclr/{NTU}',
    'HiCLR': f'hiclr/{NTU}',
    'CrosSCLR': f'crossclr/{NTU}',
}
"""Method -> config; of those with a reference the released one, which does the same work."""
UNITS = (0.25, 0.44)
"""Length of the pasted piece as shares of the clip: the paper's 4 to 7 of 16 units at any number of frames."""


@dataclass(frozen=True)
class Setting:
    """Sizes of the work; the defaults are those of the tables in docs/performance.md.

    Args:
        device: of torch.
        batch: clips of a training step.
        frames: T.
        widths: base widths of SkeAttnCLR's ST-GCN; the other methods have the first one.
        queue: keys in the queue, a multiple of the batch.
        views: clips of a batch whose views are drawn without a step.
        bank, queries, dim: features of the evaluators.
        epochs: of the linear probe.
        extracted: clips whose features are extracted.
        files: raw files to convert.
        matrix, copied: side of the matrices and bytes of the copy that give the ceilings.
        small: the small configs of the backbones.
    """

    device: str = 'cpu'
    batch: int = 8
    frames: int = 64
    widths: tuple[int, ...] = (16, 64)
    queue: int = 32768
    views: int = 64
    bank: int = 10_000
    queries: int = 2000
    dim: int = 256
    epochs: int = 5
    extracted: int = 32
    files: int = 20
    matrix: int = 1024
    copied: int = 2**28
    small: bool = False

    @property
    def precisions(self) -> dict[str, bool]:
        """What is compared, and whether it is autocast: float32, and bfloat16 unless the device would emulate it."""
        fast = gpu_bfloat16() if torch.device(self.device).type == 'cuda' else cpu_bfloat16()
        return {'float32': False, 'bfloat16': True} if fast else {'float32': False}


TINY = dict(
    batch=4, frames=32, widths=(2,), queue=16, views=4, bank=40, queries=8, dim=4, epochs=1, extracted=3, files=2
)
TINY |= dict(matrix=16, copied=2**12, small=True)
"""A try of every section in seconds; its times say nothing."""


def config(name: str, **overrides: Any) -> Config:
    """A config of the toolbox, resolved; no data set is read.

    Args:
        name: its path below ``configs/`` without ``.py``.
        overrides: values of ``model`` by key; ``__`` stands for a dot.
    """
    changes = {f'model.{key.replace("__", ".")}': value for key, value in overrides.items()}
    return resolve_config(read_config(CONFIGS / f'{name}.py', changes))


def method_config(method: str, setting: Setting, width: int | None = None) -> Config:
    """The config of a method in a setting; by default of the first width."""
    changes: dict[str, Any] = {'queue__size': setting.queue, 'backbone__base_channels': width or setting.widths[0]}
    if method in ('SkeAttnCLR', 'SkeleMixCLR'):
        changes['data_preprocessor__views__mix__skelemix__units'] = pasted(setting)
    if setting.small:
        changes['backbone__out_channels'] = 8
    return config(METHOD_CONFIGS[method], **changes)


def pasted(setting: Setting) -> tuple[int, int]:
    """Shortest and longest pasted piece in units of four frames."""
    total = -(-setting.frames // 4)
    return max(1, round(UNITS[0] * total)), max(1, round(UNITS[1] * total))


class Clips:
    """A data set of random clips, resident in memory; in most of them the second person is absent.

    Args:
        number, frames: N and T.
        joints, persons, channels: V, M and C.
        native: hand out the clips at their native length as well.

    Attributes:
        clips: ``(N, C, T, V, M)`` float32; ``array`` the same for numpy.
        labels, subjects, names: as of a :class:`~skeattn.datasets.SkeletonDataset`.
    """

    def __init__(
        self, number: int, frames: int, joints: int = 25, persons: int = 2, channels: int = 3, native: bool = False
    ) -> None:
        rng = np.random.default_rng(0)
        self.array = 0.3 * rng.normal(size=(number, channels, frames, joints, persons)).astype(np.float32)
        self.array[rng.random(number) > TWO_PERSONS, ..., 1:] = 0
        self.clips, self.native = torch.from_numpy(self.array), native
        self.labels = torch.arange(number) % 10
        self.subjects, self.names = torch.arange(number) % 4, [str(i) for i in range(number)]

    def __len__(self) -> int:
        return len(self.clips)

    def on(self, device: str) -> 'Clips':
        """The same clips, resident on a device, as a :class:`~skeattn.datasets.SkeletonDataset` keeps them."""
        there = copy(self)
        there.clips, there.labels = self.clips.to(device), self.labels.to(device)
        return there

    def __getitems__(self, indices: list[int]) -> dict[str, Tensor]:
        index = torch.as_tensor(indices, dtype=torch.int64).to(self.clips.device, non_blocking=True)
        batch = {'inputs': self.clips[index], 'labels': self.labels[index], 'index': index}
        return at_full_length(batch) if self.native else batch
