"""Linear classifiers trained by SGD on features extracted once: the linear protocols of papers.

The encoder is frozen and nothing is augmented, so training the classifier on cached features equals running the encoder
in every step, and takes seconds.
"""

import logging
import math
import statistics
from typing import Literal, NamedTuple

import torch
from mmengine.logging import print_log
from torch import Tensor

from skeattn.errors import ConfigError, NonFiniteError
from skeattn.evaluation.evaluator import Evaluator, working_device
from skeattn.evaluation.features import NO_HELD_OUT, Features, hold_out
from skeattn.evaluation.linear_classifier import LinearClassifier, initial_weights
from skeattn.evaluation.metrics import accuracy
from skeattn.evaluation.result import LinearScores, ProtocolResult, Scores
from skeattn.evaluation.scaling import by_blocks, unit_streams
from skeattn.registry import EVALUATORS


class Fit(NamedTuple):
    """A trained classifier on the test clips.

    Args:
        top1: accuracy on the test clips in percent after every epoch.
        losses: mean cross entropy of the steps of every epoch.
        logits: (N, classes) of the test clips after the last epoch.
        start: cross entropy of the first step, before the classifier has learnt anything.
        linear: weights (D, classes) and bias (classes,) of the logits, float64; None of features of unit length.
    """

    top1: list[float]
    losses: list[float]
    logits: Tensor
    start: float
    linear: tuple[Tensor, Tensor] | None

    @property
    def diverged(self) -> bool:
        """Whether the loss ended well above its start, or was far above it in between."""
        return self.losses[-1] > 1.5 * self.start or max(self.losses) > 10 * self.start


@EVALUATORS.register_module()
class LinearProbe(Evaluator):
    """Accuracy of a linear classifier on frozen features, see :class:`LinearClassifier`; several streams are averaged.

    Metrics in percent: ``top1`` after the last epoch; ``top1_best``, the best epoch **on the test clips**, as the
    papers print; ``top1_heldout``, the test accuracy at the best epoch of a second probe, trained without some of the
    training subjects and evaluated on these (needs known subjects); ``top5`` after the last epoch with more than five
    classes.

    Defaults are the paper's: SGD with lr 3 and momentum 0.9, no weight decay, 100 epochs, lr x 0.1 after epoch 60,
    batch 128. All random draws depend only on ``seed``.

    With several ``probe_seeds`` the same probe is trained from further seeds, ``seed + 1`` and on. ``top1_std`` is the
    sample standard deviation of their ``top1``, ``top1_mean`` the mean; the fact ``top1_by_seed`` has all of them.
    The other metrics and the scores are those of ``seed`` alone.

    Args:
        epochs: passes over the training features.
        lr: learning rate.
        schedule: ``'steps'``, or ``'cosine'``: ``lr (1 + cos(pi e / epochs)) / 2`` in each step, where e counts epochs
            and their fractions.
        milestones: epochs after which the learning rate is multiplied by ``gamma``; only with ``'steps'``.
        gamma: factor of the learning rate; only with ``'steps'``.
        momentum: of SGD.
        weight_decay: of SGD.
        batch_size: the last incomplete batch is dropped, unless it is the only one.
        normalise: scale the features of every stream to unit length first; the paper does not.
        batch_norm: BatchNorm without scale and shift in front of the linear layer (MAMP): statistics of the batch in
            training, running ones in the test.
        init_std: standard deviation of the initial weights.
        heldout: share of the training subjects held out.
        seed: of the initial weights and the order of the clips.
        probe_seeds: number of seeds.
        device: by default the accelerator if there is one; it holds the features of all clips.
    """

    def __init__(
        self,
        epochs: int = 100,
        lr: float = 3.0,
        milestones: tuple[int, ...] = (60,),
        gamma: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        batch_size: int = 128,
        normalise: bool = False,
        heldout: float = 0.2,
        seed: int = 0,
        schedule: Literal['steps', 'cosine'] = 'steps',
        batch_norm: bool = False,
        init_std: float = 0.02,
        probe_seeds: int = 1,
        device: str | None = None,
    ) -> None:
        if min(epochs, batch_size, probe_seeds) < 1:
            raise ConfigError(f'LinearProbe: {epochs=}, {batch_size=} and {probe_seeds=}; each must be >= 1')
        if batch_norm and batch_size < 2:
            raise ConfigError('LinearProbe: batch_norm needs a batch_size of at least 2, to have a variance')
        if schedule not in ('steps', 'cosine'):
            raise ConfigError(f"LinearProbe: unknown {schedule=}; choose 'steps' or 'cosine'")
        self.epochs, self.batch_size, self.seed, self.probe_seeds = epochs, batch_size, seed, probe_seeds
        self.lr, self.schedule, self.milestones, self.gamma = lr, schedule, tuple(milestones), gamma
        self.momentum, self.weight_decay, self.device = momentum, weight_decay, device
        self.normalise, self.batch_norm, self.init_std, self.heldout = normalise, batch_norm, init_std, heldout

    def evaluate(self, bank: Features, test: Features) -> ProtocolResult:
        """Metrics, logits of test and held-out clips after the last epoch, and curves over the epochs."""
        fit, parts = self.fit(bank, test), hold_out(bank, self.heldout)
        self._warn(fit, bank)
        result = ProtocolResult(
            {'top1': fit.top1[-1], 'top1_best': max(fit.top1)},
            Scores(fit.logits, test.labels, test.names),
            curves={'loss': fit.losses, 'top1': fit.top1},
            facts={'scores_of': 'last epoch'},
        )
        if parts is None:
            result.notes['top1_heldout'] = NO_HELD_OUT
        else:
            heldout = self.fit(*parts)
            result.metrics['top1_heldout'] = fit.top1[heldout.top1.index(max(heldout.top1))]
            result.curves['heldout_top1'] = heldout.top1
            result.heldout = Scores(heldout.logits, parts[1].labels, parts[1].names)
        if fit.linear is not None:
            result.probe = LinearScores(*fit.linear, result.heldout)
        if fit.logits.shape[1] > 5:
            result.metrics['top5'] = accuracy(fit.logits, test.labels, 5)
        if self.probe_seeds > 1:
            further = range(self.seed + 1, self.seed + self.probe_seeds)
            by_seed = {self.seed: fit.top1[-1], **{seed: self.fit(bank, test, seed).top1[-1] for seed in further}}
            result.metrics |= {
                'top1_mean': statistics.mean(by_seed.values()),
                'top1_std': statistics.stdev(by_seed.values()),
            }
            result.facts['top1_by_seed'] = {str(seed): top1 for seed, top1 in by_seed.items()}
        return result

    def _warn(self, fit: Fit, bank: Features) -> None:
        if not fit.diverged:
            return
        print_log(
            f'linear probe: the training loss on {len(bank)} clips rose from {fit.start:.3g} to {max(fit.losses):.3g} '
            f'({fit.losses[-1]:.3g} in the last epoch), so its accuracies say little about the features; lower '
            f'LinearProbe.lr={self.lr:g} or set normalise=True',
            'current',
            logging.WARNING,
        )

    @torch.no_grad()
    def fit(self, bank: Features, test: Features, seed: int | None = None) -> Fit:
        """Train a classifier on ``bank`` and evaluate it on ``test`` after every epoch.

        Args:
            bank: training clips.
            test: test clips.
            seed: of all random draws; by default that of the probe.

        Raises:
            NonFiniteError: the classifier's weights became NaN or infinite.
        """
        device = working_device(self.device)
        x, x_test = (self._inputs(part, device) for part in (bank, test))
        labels, test_labels = bank.labels.to(device), test.labels.to(device)
        generator = torch.Generator().manual_seed(self.seed if seed is None else seed)
        classifier = self._untrained(int(max(bank.labels.max(), test.labels.max())) + 1, bank, generator, x)
        top1: list[float] = []
        losses: list[float] = []
        start = math.nan
        for epoch in range(self.epochs):
            batches = self.batches(len(x), generator, device)
            steps = [
                classifier.step(x.index_select(0, batch), labels[batch], self.rate(epoch + step / len(batches)))
                for step, batch in enumerate(batches)
            ]
            start = start if losses else steps[0].item()
            logits = classifier.logits(x_test)
            top1.append(accuracy(logits, test_labels))
            losses.append(torch.stack(steps).mean().item())
        if not classifier.finite:
            raise NonFiniteError(
                f'linear probe diverged with lr={self.lr} on features of size {x.abs().max():.3g}; '
                f'lower LinearProbe.lr (protocols.linear.lr) or set normalise=True'
            )
        weights, bias = (value.cpu() for value in classifier.linear())
        return Fit(top1, losses, logits.cpu(), start, None if self.normalise else (weights, bias))

    def _inputs(self, features: Features, device: torch.device) -> Tensor:
        """(N, D) on the device, as the classifier reads them."""
        if not self.normalise:
            return features.x.to(device)
        return by_blocks(lambda x: unit_streams(x, features.num_streams), features.x, device)

    def _untrained(self, classes: int, bank: Features, generator: torch.Generator, like: Tensor) -> LinearClassifier:
        streams = bank.num_streams
        weight = initial_weights(classes, streams, bank.x.shape[1] // streams, self.init_std, generator)
        return LinearClassifier(weight.to(like), streams, self.momentum, self.weight_decay, self.batch_norm)

    def rate(self, epoch: float) -> float:
        """Learning rate after a number of epochs, in cosine schedules also fractions of them."""
        if self.schedule == 'cosine':
            return self.lr * (1 + math.cos(math.pi * epoch / self.epochs)) / 2
        return math.prod([self.gamma] * sum(epoch >= milestone for milestone in self.milestones), start=self.lr)

    def batches(self, N: int, generator: torch.Generator, device: torch.device | None = None) -> list[Tensor]:
        """Indices of the clips of every step of an epoch, drawn on the CPU and moved to the device."""
        order = torch.randperm(N, generator=generator)
        full = order[: N - N % self.batch_size if self.batch_size <= N else N].to(device or order.device)
        return list(full.split(self.batch_size))
