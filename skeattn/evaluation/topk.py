"""Accuracy of class scores: over all clips, by class, and which class is taken for which."""

from collections.abc import Sequence

import torch
from torch import Tensor

from skeattn.errors import ConfigError
from skeattn.evaluation.features import Features
from skeattn.evaluation.outcome import Outcome, Scores
from skeattn.registry import EVALUATORS


def accuracy(scores: Tensor, labels: Tensor, k: int = 1) -> float:
    """Clips in percent whose label (N,) is among the k highest of their scores (N, classes).

    With k = 1 the lowest of several equal classes is the guess.
    """
    guesses = scores.argmax(dim=1, keepdim=True) if k == 1 else scores.topk(k, dim=1).indices
    return 100 * (guesses == labels[:, None]).any(dim=1).double().mean().item()


def confusion(scores: Scores, classes: Sequence[str]) -> list[list[int]]:
    """Numbers of clips: a row for each true class, a column for each that was guessed, both in label order."""
    guesses, C = scores.scores.argmax(dim=1), len(classes)
    return torch.bincount(scores.labels * C + guesses, minlength=C * C).reshape(C, C).tolist()


def per_class(scores: Scores, classes: Sequence[str]) -> dict[str, float | None]:
    """Clips of every class in percent that are recognised; None for a class without a clip."""
    rows = zip(classes, confusion(scores, classes), strict=True)
    return {name: 100 * row[label] / sum(row) if any(row) else None for label, (name, row) in enumerate(rows)}


@EVALUATORS.register_module()
class TopK:
    """Accuracy of a trained classifier: the features are its logits, ``evaluation.source='logits'``.

    Metrics in percent: ``top1``, and ``top5`` with more than five classes. The bank is not looked at.
    """

    def __call__(self, bank: Features, test: Features) -> dict[str, float]:
        """The metrics alone."""
        return self.evaluate(bank, test).metrics

    def evaluate(self, bank: Features, test: Features) -> Outcome:
        """Metrics and logits of the test clips.

        Raises:
            ConfigError: a label without logit.
        """
        classes, highest = test.x.shape[1], int(test.labels.max())
        if highest >= classes:
            raise ConfigError(
                f'TopK: the features have {classes} columns, but a test clip has label {highest}; it reads the logits '
                f'of a classifier for all classes: evaluation.source="logits" and num_classes of the data set'
            )
        metrics = {'top1': accuracy(test.x, test.labels)}
        if classes > 5:
            metrics['top5'] = accuracy(test.x, test.labels, 5)
        reason = 'the classifier is judged as it is, its epochs are not there to choose from'
        notes = dict.fromkeys(('top1_best', 'top1_heldout'), reason)
        return Outcome(metrics, Scores(test.x, test.labels, test.names), notes=notes)
