"""What a protocol that trains is told of the network under test."""

from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config


@dataclass
class Subject:
    """A network under test, for a protocol that trains it further instead of reading its features.

    Such a protocol has ``judge(subject) -> Outcome`` and ``check(subject)``, which refuses what it cannot train.

    Args:
        name: the protocol's name; what it writes belongs into a folder of that name.
        cfg: the resolved config.
        checkpoint: the weights to start from; None from scratch.
        seed: of everything that is drawn.
        work_dir: a folder of this very evaluation (config, weights, settings, seed), so that what lies in it from an
            interrupted call can be gone on with.
    """

    name: str
    cfg: Config
    checkpoint: Path | None
    seed: int
    work_dir: Path
