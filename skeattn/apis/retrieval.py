"""A bank of clips, and the nearest of them."""

import os
from dataclasses import asdict, dataclass
from typing import NamedTuple

import numpy as np
from pydantic import PositiveInt
from torch import Tensor

from skeattn.apis.archive import Form, read_archive, tensors, write_archive
from skeattn.datasets.packed import class_name
from skeattn.errors import CheckpointError, DataError
from skeattn.evaluation.features import Features
from skeattn.evaluation.knn import nearest_neighbours

_KIND = 'bank of clips'


class Neighbour(NamedTuple):
    """A clip of a bank.

    Args:
        name: of the clip.
        label: name of its class, ``'unlabelled'`` without one.
        similarity: cosine similarity to the query, in [-1, 1].
        place: its number in the bank.
    """

    name: str
    label: str
    similarity: float
    place: int


@dataclass(frozen=True)
class Origin:
    """The features of one encoder.

    Args:
        encoder: digest of its weights and its pipeline.
        checkpoint: path of its file, for messages.
        source: of the features, with the readout.
    """

    encoder: str
    checkpoint: str
    source: str

    def require(self, encoder: str, checkpoint: str, what: str) -> None:
        """Refuse a different encoder.

        Raises:
            CheckpointError: the digests differ.
        """
        if encoder != self.encoder:
            raise CheckpointError(
                f'{what} was made with the encoder of {self.checkpoint}, which is not that of {checkpoint}; make it '
                f'again with this encoder, or load that one'
            )


@dataclass(frozen=True)
class _Facts:
    """What a file holds beside the arrays."""

    classes: list[str]
    num_streams: PositiveInt
    origin: Origin


_ARRAYS = {
    'x': Form(np.float32, 2), 'labels': Form(np.int64, 1), 'subjects': Form(np.int64, 1), 'names': Form(np.str_, 1),
}  # fmt: skip


@dataclass(frozen=True)
class Bank:
    """Features of clips, extracted once, in which queries find their nearest clips.

    Args:
        features: of the clips, with names and labels.
        classes: names of the classes.
        origin: the encoder.
    """

    features: Features
    classes: tuple[str, ...]
    origin: Origin

    def __len__(self) -> int:
        return len(self.features)

    def nearest(self, queries: Tensor, k: int) -> list[list[Neighbour]]:
        """For each query its k nearest clips, the nearest first.

        Args:
            queries: (N, D) features from the same source.
            k: number of clips, at most those of the bank.

        Raises:
            ConfigError: k is not in 1..len(bank).
        """
        bank = self.features
        similarities, indices = nearest_neighbours(queries, bank.x, k, bank.num_streams, device='cpu')
        labels = bank.labels.tolist()
        return [
            [
                Neighbour(bank.names[i], class_name(self.classes, labels[i]), similarity, i)
                for similarity, i in zip(row, places, strict=True)
            ]
            for row, places in zip(similarities.tolist(), indices.tolist(), strict=True)
        ]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the bank to one ``.npz`` file; :meth:`load` executes nothing.

        ``numpy.load`` reads it, too: features ``x`` ``(N, D)``, ``names``, ``labels`` and ``subjects`` ``(N,)``.

        Raises:
            StorageError: the disk is full or read-only.
        """
        features = self.features
        facts = {
            'classes': list(self.classes),
            'num_streams': features.num_streams,
            'origin': asdict(self.origin),
        }
        arrays = {'x': features.x, 'labels': features.labels, 'subjects': features.subjects}
        numbers = {name: value.numpy() for name, value in arrays.items()}
        write_archive(path, _KIND, facts, {**numbers, 'names': np.array(features.names)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> 'Bank':
        """Read a bank.

        Raises:
            DataError: the file is missing, damaged, or holds something else.
        """
        facts, arrays = read_archive(path, _KIND, _Facts, _ARRAYS)
        x, labels, subjects = tensors(arrays, 'x', 'labels', 'subjects').values()
        names = arrays['names'].tolist()
        if not len(x) == len(labels) == len(subjects) == len(names) or not len(x) or x.shape[1] % facts.num_streams:
            raise DataError(f'{path} is damaged (arrays of different length); make the {_KIND} again')
        return cls(Features(x, labels, subjects, names, facts.num_streams), tuple(facts.classes), facts.origin)
