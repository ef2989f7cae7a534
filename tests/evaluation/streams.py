"""Noisy scores of the streams of an ensemble."""

import torch

from skeattn.evaluation.metrics import accuracy
from skeattn.evaluation.result import Scores

CLASSES = [f'class{i}' for i in range(6)]


def stream(seed, N=30, classes=6, strength=1.0, prefix='clip'):
    """Noisy scores; the labels belong to the names alone."""
    labels = torch.arange(N) % classes
    noise = torch.randn(N, classes, generator=torch.Generator().manual_seed(seed))
    scores = noise + strength * torch.nn.functional.one_hot(labels, classes)
    return Scores(scores, labels, [f'{prefix}{i}' for i in range(N)])


def permuted(part, seed):
    order = torch.randperm(len(part), generator=torch.Generator().manual_seed(seed))
    return Scores(part.scores[order], part.labels[order], [part.names[i] for i in order.tolist()])


def by_name(part):
    return dict(zip(part.names, part.scores.tolist(), strict=True))


def top1(part):
    return accuracy(part.scores, part.labels)
