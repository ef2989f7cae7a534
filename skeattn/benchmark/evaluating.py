"""Sections on evaluation: extraction of features, KNN, probes."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from skeattn.benchmark.reference.methods import METHODS
from skeattn.benchmark.reference.network import pooled
from skeattn.benchmark.rounds import Group, Variant
from skeattn.benchmark.setting import Clips, Setting, method_config
from skeattn.engine.build import load_model
from skeattn.evaluation import Features, LinearProbe, RidgeProbe, extract_features
from skeattn.evaluation.knn import knn_scores, vote

CLASSES, K, NOISE, SUBJECTS = 60, 20, 3.0, 20


def extraction(setting: Setting) -> Iterator[Group]:
    """Pooled features of all clips: the plain loop of the releases, and ours."""
    data = Clips(setting.extracted, setting.frames)
    for width in setting.widths:
        model = load_model(method_config('SkeAttnCLR', setting, width)).to(setting.device)
        sizes = dict(width=width) | (dict(channels=8) if setting.small else {})
        reference: Any = METHODS['SkeAttnCLR'](**sizes, queue=setting.queue).to(setting.device).eval()
        variants = []
        for name, amp in setting.precisions.items():
            variants.append(Variant(f'reference {name}', partial(plain_loop, reference, data, setting, amp), len(data)))
        for name, amp in setting.precisions.items():
            variants.append(Variant(f'ours {name}', partial(extract_features, model, data, autocast=amp), len(data)))
        yield Group(f'features, width {width}', variants)


def knn(setting: Setting) -> Iterator[Group]:
    """Class scores of the queries from a bank of features."""
    (bank, labels), (queries, _) = clusters(setting.bank, setting.dim, 0), clusters(setting.queries, setting.dim, 1)
    k = min(K, setting.bank)
    moved = 4 * setting.dim * (setting.bank + setting.queries)

    def ours(queries: Tensor, bank: Tensor, labels: Tensor, k: int) -> Tensor:
        return knn_scores(queries, bank, labels, k, num_classes=CLASSES)

    ways = {'all similarities at once': at_once, 'one query after the other': one_by_one, 'ours': ours}
    variants = [
        Variant(name, partial(way, queries, bank, labels, k), setting.queries, moved, counted=way is not one_by_one)
        for name, way in ways.items()
    ]
    yield Group(f'KNN, bank {setting.bank:,} x {setting.dim}', variants, unit='queries')


def probes(setting: Setting) -> Iterator[Group]:
    """The linear probe beside the loop that one would write, and the ridge probe alone."""
    bank, test = random_features(setting.bank, setting.dim, 0), random_features(setting.queries, setting.dim, 1)
    linear = LinearProbe(epochs=setting.epochs, milestones=())
    done = setting.epochs * setting.bank
    loop = Variant('plain loop', partial(train_plainly, bank, test, setting.epochs), done, counted=False)
    ours = Variant('ours', partial(linear.fit, bank, test), done, counted=False)
    yield Group(f'linear probe, {setting.epochs} epochs', [loop, ours], unit='clips of all epochs')
    ridge = RidgeProbe(device='cpu' if setting.device == 'cpu' else None)
    yield Group(
        'ridge probe, penalty chosen', [Variant('ours', partial(ridge, bank, test), setting.bank, counted=False)]
    )


@torch.no_grad()
def plain_loop(model: Any, data: Clips, setting: Setting, autocast: bool) -> Tensor:
    """Features of all clips, absent persons too, batch by batch."""
    device, found = torch.device(setting.device), []
    for batch in data.clips.split(256):
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            found.append(pooled(model.encoder_q.backbone.map(batch.to(device)), batch.shape[4]).float().cpu())
    return torch.cat(found)


def clusters(clips: int, dim: int, seed: int) -> tuple[Tensor, Tensor]:
    """Features (clips, dim) around centres that do not depend on the seed, and their labels."""
    centres = torch.randn(CLASSES, dim, generator=torch.Generator().manual_seed(7))
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (clips,), generator=generator)
    return torch.randn(clips, dim, generator=generator).mul_(NOISE).add_(centres[labels]), labels


def random_features(clips: int, dim: int, seed: int) -> Features:
    """:func:`clusters` of several subjects."""
    x, labels = clusters(clips, dim, seed)
    return Features(x, labels, torch.arange(clips) % min(SUBJECTS, clips), [str(i) for i in range(clips)])


def at_once(queries: Tensor, bank: Tensor, labels: Tensor, k: int) -> Tensor:
    """KNN with all similarities in one matrix."""
    similarities, indices = (F.normalize(queries) @ F.normalize(bank).T).topk(k, dim=1)
    return vote(similarities, labels[indices], CLASSES)


def one_by_one(queries: Tensor, bank: Tensor, labels: Tensor, k: int) -> Tensor:
    """KNN in a loop over the queries."""
    bank = F.normalize(bank)
    neighbours = [(bank @ query).topk(k) for query in F.normalize(queries)]
    similarities, indices = (torch.stack(part) for part in zip(*neighbours, strict=True))
    return vote(similarities, labels[indices], CLASSES)


def train_plainly(bank: Features, test: Features, epochs: int, batch: int = 128, lr: float = 3.0) -> float:
    """A linear classifier by the usual loop; returns its accuracy."""
    head = nn.Linear(bank.x.shape[1], CLASSES)
    optimizer = torch.optim.SGD(head.parameters(), lr, momentum=0.9)
    correct = 0.0
    for _ in range(epochs):
        for rows in torch.randperm(len(bank)).split(batch):
            loss = F.cross_entropy(head(bank.x[rows]), bank.labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            correct = (head(test.x).argmax(dim=1) == test.labels).double().mean().item()
    return correct
