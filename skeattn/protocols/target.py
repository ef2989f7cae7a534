"""A network under evaluation, and the interface of protocols that train it further."""

from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from skeattn.evaluation.result import ProtocolResult


@dataclass
class EvalTarget:
    """A network under evaluation, for a protocol that trains it further instead of reading its features.

    Args:
        name: of the protocol, and of the folder for its files.
        cfg: the resolved config.
        checkpoint: the initial weights; None to train from scratch.
        seed: of all random draws.
        work_dir: folder of this evaluation (config, weights, settings, seed); it can hold files of an interrupted call.
    """

    name: str
    cfg: Config
    checkpoint: Path | None
    seed: int
    work_dir: Path


class TrainingProtocol:
    """Trains a network further and tests it; a subclass is registered in ``EVALUATORS``."""

    def check(self, target: EvalTarget) -> None:
        """Refuse a target that cannot be trained, before anything is written for it.

        Raises:
            ConfigError, DataError: the reason.
        """

    def run(self, target: EvalTarget) -> ProtocolResult:
        """Train and test; all processes call it. An interrupted call is continued."""
        raise NotImplementedError
