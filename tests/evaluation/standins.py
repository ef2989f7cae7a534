"""Small stand-ins for a data set and an algorithm, so that evaluation is tested without either room."""

import numpy as np
import torch
from torch import Tensor, nn

from skeattn.evaluation import Features


class ClipSet:
    """A SkeletonDataset, as far as evaluation reads it."""

    def __init__(self, clips: Tensor, labels: Tensor, subjects: Tensor) -> None:
        self.clips, self.labels, self.subjects = clips, labels, subjects
        self.names = [f'clip{i}' for i in range(len(clips))]

    def __len__(self) -> int:
        return len(self.clips)

    def __getitems__(self, indices: list[int]) -> dict[str, Tensor]:
        index = torch.tensor(indices)
        return {'inputs': self.clips[index], 'labels': self.labels[index], 'index': index}


class Encoder(nn.Module):
    """Mean over frames -> linear -> BatchNorm -> dropout."""

    def __init__(self, channels: int = 3, dim: int = 4) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, dim)
        self.bn = nn.BatchNorm1d(dim)
        self.unused = nn.BatchNorm1d(dim)
        self.drop = nn.Dropout(0.5)

    def features(self, data: dict[str, Tensor], source: str = 'backbone') -> Tensor:
        x = self.drop(self.bn(self.fc(data['inputs'].mean(dim=(2, 3, 4)))))
        return -x if source == 'projector' else x


def clip_set(N: int = 11, seed: int = 0) -> ClipSet:
    clips = torch.randn(N, 3, 5, 2, 1, generator=torch.Generator().manual_seed(seed))
    return ClipSet(clips, torch.arange(N) % 3, torch.arange(N) % 4)


def blobs(per_class: int, seed: int, classes: int = 3, dim: int = 8, noise: float = 1.0, subjects: int = 5) -> Features:
    """Gaussian classes whose centres do not depend on ``seed``."""
    centres = torch.as_tensor(np.random.default_rng(7).normal(size=(classes, dim)), dtype=torch.float32)
    labels = torch.arange(classes).repeat(per_class)
    x = centres[labels] + noise * torch.randn(len(labels), dim, generator=torch.Generator().manual_seed(seed))
    index = torch.arange(len(labels))
    return Features(x, labels, index // classes % subjects, [f'clip{i}' for i in index.tolist()])
