"""Provenance of a result: config, data, training, versions, hardware."""

import contextlib
import hashlib
import math
import os
import platform
import statistics
import subprocess
from collections import defaultdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import mmengine
import numpy as np
import torch
from mmengine.config import Config

import skeattn
from skeattn.checkpoint import encoder_facts, read_checkpoint, stated_config
from skeattn.datasets.union import digest_of, in_words
from skeattn.hardware import cpu_name
from skeattn.reading import parse_json


def environment() -> dict[str, Any]:
    """Versions, commit and hardware, without the machine's name."""
    versions = {'python': platform.python_version(), 'numpy': np.__version__, 'torch': torch.__version__}
    versions |= {'mmengine': mmengine.__version__, 'skeattn': skeattn.__version__}
    return {'versions': versions, **commit(), 'hardware': hardware(), 'threads': torch.get_num_threads()}


def completion() -> dict[str, Any]:
    """The last fields of a record: ``finished``, the time in UTC, and :func:`environment`."""
    return {'finished': datetime.now(timezone.utc).isoformat(timespec='seconds'), **environment()}


def commit() -> dict[str, Any]:
    """``commit``, and ``dirty`` if tracked files changed since; empty if the toolbox is not a git checkout."""
    root = Path(skeattn.__file__).resolve().parent.parent

    def git(*arguments: str) -> str:
        command = ['git', '-C', str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        # A toolbox installed below a different checkout must not claim its commit.
        if Path(git('rev-parse', '--show-toplevel')) != root:
            return {}
        return {'commit': git('rev-parse', 'HEAD'), 'dirty': bool(git('status', '--porcelain', '-uno'))}
    except (OSError, subprocess.CalledProcessError):
        return {}


def hardware() -> str:
    """The processor, and the accelerator if there is one."""
    text = f'{os.cpu_count()} x {cpu_name()}'
    if torch.cuda.is_available():
        text += f', {torch.cuda.device_count()} x {torch.cuda.get_device_name()}'
    return text


def config_facts(cfg: Config) -> dict[str, Any]:
    """The facts of a resolved config in a record: its digest, model, data with their digest, split and stream."""
    return {
        'config_sha256': hashlib.sha256(cfg.pretty_text.encode()).hexdigest(),
        'model': cfg.model.type,
        'data': in_words(cfg.dataset.data),
        'manifest_sha256': digest_of(cfg.dataset.data),
        'split': in_words(cfg.dataset.split),
        'stream': cfg.get('stream', 'joint'),
    }


def training_facts(checkpoint: str | os.PathLike[str]) -> dict[str, Any]:
    """The training of a checkpoint, from its meta data and the logs beside it.

    Returns:
        ``seed``, ``epochs`` and ``clips_seen`` (clips drawn, with repetition) if the checkpoint has them. If there are
        logs, also ``seconds_per_epoch`` (median over epochs, without the first of several) and ``seconds`` of all
        training steps up to the checkpoint, without evaluation and start-up.
    """
    meta = read_checkpoint(checkpoint)['meta']
    if not {'seed', 'epoch', 'iter', 'batch_size'} <= meta.keys():
        return {}
    facts = {'seed': meta['seed'], 'epochs': meta['epoch'], 'clips_seen': meta['iter'] * meta['batch_size']}
    iterations = meta.get('iterations_per_epoch') or (math.ceil(meta['iter'] / meta['epoch']) if meta['epoch'] else 0)
    done = {epoch: min(iterations, meta['iter'] - (epoch - 1) * iterations) for epoch in range(1, meta['epoch'] + 2)}
    logged = epoch_seconds(Path(checkpoint).parent, iterations)
    times = {epoch: seconds for epoch, seconds in logged.items() if done.get(epoch, 0) > 0}
    if times:
        facts['seconds_per_epoch'] = statistics.median(list(times.values())[1:] or times.values())
        facts['seconds'] = sum(seconds * done[epoch] / iterations for epoch, seconds in times.items())
    return facts


def pretrained_facts(checkpoint: str | os.PathLike[str]) -> dict[str, Any]:
    """Known facts of a checkpoint's pre-training: method, epoch, seed, stream, data and so on."""
    meta = read_checkpoint(checkpoint)['meta']
    facts = {key: meta[key] for key in ('method', 'epoch', 'seed', 'stream', 'layout', 'channels') if key in meta}
    dataset = stated_config(meta).get('dataset') or {}
    split = dataset.get('split', dataset.get('protocol'))
    facts |= {key: value for key, value in {'data': dataset.get('data'), 'split': split}.items() if value is not None}
    return facts | encoder_facts(meta)


def epoch_seconds(work_dir: Path, iterations: int) -> dict[int, float]:
    """Epoch -> seconds of its training steps, from the scalars in the training log.

    Args:
        work_dir: folder of the run; a resumed run has a folder of logs for every start.
        iterations: training steps in an epoch.
    """
    times = defaultdict(list)
    for log in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in log.read_text(errors='replace').splitlines():
            with contextlib.suppress(ValueError, TypeError):  # a kill can truncate the last line
                entry = parse_json(line)
                if {'epoch', 'time', 'loss'} <= set(entry):
                    times[int(entry['epoch'])].append(float(entry['time']))
    return {epoch: statistics.mean(times[epoch]) * iterations for epoch in sorted(times)}
