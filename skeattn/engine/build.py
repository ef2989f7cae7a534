"""From a config to a network and its data sets."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.config import Config
from mmengine.logging import MMLogger
from torch import nn

import skeattn.models  # noqa: F401  registers what a config can name
from skeattn.checkpoint import load_checkpoint
from skeattn.datasets import SkeletonDataset
from skeattn.engine.config import read_config, resolve_config
from skeattn.registry import DATASETS, MODELS


def load_model(config: str | os.PathLike[str] | Config, checkpoint: str | os.PathLike[str] | None = None) -> nn.Module:
    """The network of a config in eval mode.

    Args:
        config: a config file, or a config with overrides merged.
        checkpoint: file written by ``tools/train.py``; None leaves the network freshly initialised.

    Raises:
        ConfigError: the config is wrong.
        CheckpointError: the checkpoint is damaged or does not fit.
    """
    cfg = config if isinstance(config, Config) else read_config(config)
    model = MODELS.build(resolve_config(cfg).model)
    with _quiet():
        model.init_weights()
    if checkpoint is not None:
        load_checkpoint(model, checkpoint)
    return model.eval()


def build_splits(cfg: Config) -> tuple[SkeletonDataset, SkeletonDataset]:
    """The training and the test clips of a resolved config."""
    train, test = (DATASETS.build({**cfg.dataset, 'split': split}) for split in ('train', 'test'))
    return train, test


@contextmanager
def _quiet() -> Iterator[None]:
    """Without a log file mmengine would print how every parameter was initialised."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('WARNING')
    try:
        yield
    finally:
        logger.setLevel(level)
