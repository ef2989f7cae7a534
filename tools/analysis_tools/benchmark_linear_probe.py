"""Compare the linear protocol on features extracted once with running the encoder in every step.

    python tools/analysis_tools/benchmark_linear_probe.py

Both give the same numbers. They are timed in one run on the same clips; only the ratio is valid for other machines.
"""

import argparse

from skeattn import cli


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('config', nargs='?', default='configs/skeattnclr/stgcn_demo.py')
    top.add_argument('--epochs', type=int, default=2, help='timed epochs through the encoder (2)')
    top.add_argument('--threads', type=int, default=1)
    top.add_argument('--cfg-options', nargs='+', action=cli.KeyValue, default={}, metavar='KEY=VALUE')
    return top


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from skeattn.apis import build_splits, load_model
from skeattn.engine.config import read_config, resolve_config
from skeattn.evaluation import LinearProbe, extract_features
from skeattn.evaluation.features import frozen
from skeattn.models.heads import LinearHead


def probe_through_encoder(
    probe: LinearProbe, encode: Callable[[Tensor], Tensor], labels: Tensor, classes: int
) -> list[float]:
    """The literal linear protocol: the frozen encoder computes the features of the batch in every step.

    Args:
        probe: the settings.
        encode: indices of clips (B,) -> features (B, D).
        labels: of all training clips (N,).
        classes: number of classes.

    Returns:
        mean loss of the steps of every epoch.
    """
    generator = torch.Generator().manual_seed(probe.seed)
    one = encode(torch.zeros(1, dtype=torch.int64))
    head = LinearHead(one.shape[1], classes, generator=generator).to(one)
    optimizer = torch.optim.SGD(head.parameters(), probe.lr, probe.momentum, weight_decay=probe.weight_decay)
    losses = []
    for epoch in range(probe.epochs):
        optimizer.param_groups[0]['lr'] = probe.lr * probe.gamma ** sum(epoch >= step for step in probe.milestones)
        steps = []
        for batch in probe.batches(len(labels), generator):
            optimizer.zero_grad()
            loss = cross_entropy(head(encode(batch)), labels[batch])
            loss.backward()
            optimizer.step()
            steps.append(loss.item())
        losses.append(sum(steps) / len(steps))
    return losses


def main() -> None:
    args = parser().parse_args()
    torch.set_num_threads(args.threads)
    cfg = resolve_config(read_config(args.config, args.cfg_options))
    train, test = build_splits(cfg)
    model, labels = load_model(cfg), torch.as_tensor(train.labels)

    def encode(batch: Tensor) -> Tensor:
        with frozen(model):
            return model.features(train.__getitems__(batch.tolist()))

    start = time.perf_counter()
    reference = probe_through_encoder(LinearProbe(epochs=args.epochs), encode, labels, len(train.classes))
    through = (time.perf_counter() - start) / args.epochs
    start = time.perf_counter()
    bank, queries = extract_features(model, train), extract_features(model, test)
    extraction = time.perf_counter() - start
    probe = LinearProbe()
    start = time.perf_counter()
    cached = probe.fit(bank, queries).losses
    fitting = time.perf_counter() - start
    apart = max(abs(a - b) for a, b in zip(reference, cached, strict=False))
    print(f'{len(train)} training and {len(test)} test clips of {cfg.dataset.data}, {args.threads} threads')
    epochs, once = probe.epochs, extraction + fitting
    print(
        f'encoder in every step: {through:.3f} s an epoch ({args.epochs} timed), {through * epochs:.1f} s for {epochs}'
    )
    print(f'features once: {extraction:.3f} s, then {fitting / epochs:.4f} s an epoch, {once:.1f} s for {epochs}')
    print(f'ratio: {through * epochs / once:.0f} times; the losses of both differ by at most {apart:.1e}')


if __name__ == '__main__':
    cli.run(main)
