"""Scores of several streams, and the files that an ensemble reads."""

import json
from pathlib import Path

import torch

from skeattn.evaluation.outcome import Scores
from skeattn.evaluation.scores import ScoreFile
from skeattn.evaluation.topk import accuracy
from skeattn.files import sha256

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


def top1(part):
    return accuracy(part.scores, part.labels)


FACTS = {
    'data': 'data/toy', 'manifest_sha256': 'ab12', 'protocol': 'xsub', 'checkpoint_sha256': 'c', 'name': 'Method',
    'evaluation': 'linear',
}  # fmt: skip
STREAMS = ('joint', 'bone', 'motion')


def write_part(folder: Path, name: str, seed: int, heldout: bool = True, classes=CLASSES, **facts) -> Path:
    held = stream(seed + 100, N=18, prefix='held') if heldout else None
    path = folder / f'{name}.npz'
    ScoreFile(permuted(stream(seed), seed), held, classes, {**FACTS, 'stream': name, **facts}).write(path)
    return path


def write_record(folder: Path, name: str, seed: int, **facts) -> Path:
    scores = write_part(folder, name, seed, **facts)
    outcome = {'scores': scores.name, 'scores_sha256': sha256(scores)}
    source = {'streams': [name], 'metrics': {}, 'outcomes': {'linear': outcome, 'knn': {}}, 'parameters': 7, 'gmacs': 2}
    record = {'checkpoint': 'a.pth', 'seed': 3, 'protocols': {'linear': {'lr': 3}}, 'sources': {'backbone': source}}
    path = folder / f'test_{name}.json'
    path.write_text(json.dumps(record))
    return path
