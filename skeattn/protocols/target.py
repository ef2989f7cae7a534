"""A network under evaluation, and the shape of a protocol that trains it further."""

from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from skeattn.evaluation.result import ProtocolResult


@dataclass
class EvalTarget:
    """A network under evaluation, for a protocol that trains it further instead of reading its features.

    Args:
        name: the protocol's name; its files belong into a folder of that name.
        cfg: the resolved config.
        checkpoint: the weights to start from; None from scratch.
        seed: of everything that is drawn.
        work_dir: a folder of this very evaluation (config, weights, settings, seed): files of an interrupted call that
            lie in it can be used.
    """

    name: str
    cfg: Config
    checkpoint: Path | None
    seed: int
    work_dir: Path


class TrainingProtocol:
    """Trains a network further and tests it. A subclass is registered in ``EVALUATORS``."""

    def check(self, target: EvalTarget) -> None:
        """Refuse a target that cannot be trained, before anything is written for it.

        Raises:
            ConfigError, DataError: the reason.
        """

    def run(self, target: EvalTarget) -> ProtocolResult:
        """The result; all processes call it. An interrupted call is continued."""
        raise NotImplementedError
