"""Accuracy of a trained classifier."""

from skeattn.errors import ConfigError
from skeattn.evaluation.evaluator import Evaluator
from skeattn.evaluation.features import Features
from skeattn.evaluation.metrics import accuracy
from skeattn.evaluation.result import ProtocolResult, Scores
from skeattn.registry import EVALUATORS


@EVALUATORS.register_module()
class TopK(Evaluator):
    """Accuracy of a trained classifier; the features are its logits, ``evaluation.source='logits'``.

    Metrics in percent: ``top1``, and ``top5`` with more than five classes. The bank is unused.
    """

    reads = 'logits'

    def evaluate(self, bank: Features, test: Features) -> ProtocolResult:
        """Metrics and logits of the test clips.

        Raises:
            ConfigError: a label has no logit.
        """
        classes, highest = test.x.shape[1], int(test.labels.max())
        if highest >= classes:
            raise ConfigError(
                f'TopK: the features have {classes} columns, but a test clip has label {highest}; give it the logits '
                f'of a classifier for all classes: evaluation.source="logits" and num_classes of the data set'
            )
        metrics = {'top1': accuracy(test.x, test.labels)}
        if classes > 5:
            metrics['top5'] = accuracy(test.x, test.labels, 5)
        reason = 'the classifier is not trained further, there are no epochs to choose from'
        notes = dict.fromkeys(('top1_best', 'top1_heldout'), reason)
        return ProtocolResult(metrics, Scores(test.x, test.labels, test.names), notes=notes)
