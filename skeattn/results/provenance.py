"""Where a result comes from: config, data, training, versions, hardware."""

import contextlib
import hashlib
import json
import math
import os
import platform
import statistics
import subprocess
from collections import defaultdict
from pathlib import Path
from typing import Any

import mmengine
import numpy as np
import torch
from mmengine.config import Config

import skeattn
from skeattn.checkpoint import encoder_facts, read_checkpoint, stated_config
from skeattn.files import sha256


def environment() -> dict[str, Any]:
    """Versions, commit and hardware, without the machine's name."""
    versions = {'python': platform.python_version(), 'numpy': np.__version__, 'torch': torch.__version__}
    versions |= {'mmengine': mmengine.__version__, 'skeattn': skeattn.__version__}
    return {'versions': versions, **commit(), 'hardware': hardware(), 'threads': torch.get_num_threads()}


def commit() -> dict[str, Any]:
    """``commit``, and ``dirty`` where tracked files were changed since; empty where the toolbox is no git checkout."""
    root = Path(skeattn.__file__).resolve().parent.parent

    def git(*arguments: str) -> str:
        command = ['git', '-C', str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        # A toolbox installed below somebody else's checkout must not claim that commit.
        if Path(git('rev-parse', '--show-toplevel')) != root:
            return {}
        return {'commit': git('rev-parse', 'HEAD'), 'dirty': bool(git('status', '--porcelain', '-uno'))}
    except (OSError, subprocess.CalledProcessError):
        return {}


def hardware() -> str:
    """The processor, and the accelerator if there is one."""
    cpu = platform.processor() or platform.machine()
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
        cpu = next(line.split(':', 1)[1].strip() for line in lines if line.startswith('model name'))
    except (OSError, StopIteration):
        pass
    text = f'{os.cpu_count()} x {cpu}'
    if torch.cuda.is_available():
        text += f', {torch.cuda.device_count()} x {torch.cuda.get_device_name()}'
    return text


def config_facts(cfg: Config) -> dict[str, Any]:
    """The facts of a resolved config in a record: its digest, model, data with their digest, split and stream."""
    return {
        'config_sha256': hashlib.sha256(cfg.pretty_text.encode()).hexdigest(),
        'model': cfg.model.type,
        'data': str(cfg.dataset.data),
        'manifest_sha256': sha256(Path(cfg.dataset.data) / 'manifest.json'),
        'split': cfg.dataset.protocol,
        'stream': cfg.get('stream', 'joint'),
    }


def training_facts(checkpoint: str | os.PathLike[str]) -> dict[str, Any]:
    """How a checkpoint was trained, from its meta data and the logs beside it.

    Returns:
        ``seed``, ``epochs`` and ``clips_seen`` (clips drawn, with repetition) as far as the checkpoint knows;
        ``seconds_per_epoch`` (median over epochs, without the first where there are more) and ``seconds`` of all
        training steps where there are logs, evaluation and start-up not counted.
    """
    meta = read_checkpoint(checkpoint)['meta']
    if not {'seed', 'epoch', 'iter', 'batch_size'} <= meta.keys():
        return {}
    facts = {'seed': meta['seed'], 'epochs': meta['epoch'], 'clips_seen': meta['iter'] * meta['batch_size']}
    times = epoch_seconds(Path(checkpoint).parent, math.ceil(meta['iter'] / meta['epoch']))
    if times:
        facts['seconds_per_epoch'] = statistics.median(list(times.values())[1:] or times.values())
        facts['seconds'] = sum(times.values())
    return facts


def pretrained_facts(checkpoint: str | os.PathLike[str]) -> dict[str, Any]:
    """The pre-training of a checkpoint, as far as it is known: method, epoch, seed, stream, data and so on."""
    meta = read_checkpoint(checkpoint)['meta']
    facts = {key: meta[key] for key in ('method', 'epoch', 'seed', 'stream', 'layout', 'channels') if key in meta}
    dataset = stated_config(meta).get('dataset') or {}
    split = dataset.get('split', dataset.get('protocol'))
    facts |= {key: value for key, value in {'data': dataset.get('data'), 'split': split}.items() if value is not None}
    return facts | encoder_facts(meta)


def epoch_seconds(work_dir: Path, iterations: int) -> dict[int, float]:
    """Epoch -> seconds of its training steps, from the scalars that training logged.

    Args:
        work_dir: folder of the run; a run that was resumed has a folder of logs for every start.
        iterations: training steps in an epoch.
    """
    times = defaultdict(list)
    for log in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in log.read_text().splitlines():
            with contextlib.suppress(ValueError):  # a kill can cut the last line short
                entry = json.loads(line)
                if {'epoch', 'time', 'loss'} <= entry.keys():
                    times[entry['epoch']].append(entry['time'])
    return {epoch: statistics.mean(times[epoch]) * iterations for epoch in sorted(times)}
