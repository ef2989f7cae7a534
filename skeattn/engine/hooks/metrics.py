"""Metrics that settings name."""

from collections.abc import Mapping
from typing import Any

from skeattn.errors import ConfigError


def check_metric(runner: Any, place: str, metric: str, cure: str) -> None:
    """Refuse, before the training, a metric that its evaluations do not deliver.

    Args:
        runner: with its loops.
        place: the setting that names the metric.
        metric: such as ``'knn/top1_k20'``.
        cure: what to change.

    Raises:
        ConfigError: there is no evaluation, evaluator or metric of this name; lists the known ones.
    """
    if runner.val_loop is None:
        raise ConfigError(f'{place}={metric!r}, but the training has no evaluation (evaluation.evaluators); {cure}')
    evaluators = runner.val_loop.evaluator
    name, _, kind = metric.partition('/')
    if name not in [other.split('/')[0] for other in evaluators]:
        raise ConfigError(f'{place}={metric!r}, but evaluation.evaluators has only {", ".join(evaluators)}; {cure}')
    known = evaluators[name].metric_names if isinstance(evaluators, Mapping) and name in evaluators else None
    if known is not None and kind not in known:
        raise ConfigError(
            f'{place}={metric!r}, but evaluation.evaluators.{name} has the metrics {", ".join(known)}; {cure}'
        )
