"""Judge a checkpoint by KNN and the linear protocol: python tools/test.py CONFIG CHECKPOINT [--baselines]

The encoder runs once over the training and the test clips; everything else works on those features. Prints one table
and writes a JSON record beside the checkpoint.
"""

import argparse
import hashlib
import time
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, DictAction
from mmengine.dist import init_dist, is_main_process

from skeattn import cli
from skeattn.apis import build_splits, load_model
from skeattn.engine.config import read_config, resolve_config
from skeattn.evaluation import extract_features
from skeattn.evaluation.baselines import Evaluator, judge, judge_raw, judge_untrained
from skeattn.evaluation.record import environment, sha256, write_json
from skeattn.evaluation.report import NOTE, metrics_table
from skeattn.registry import EVALUATORS

DEFAULT_EVALUATORS = {'knn': {'type': 'KNNEvaluator'}, 'linear': {'type': 'LinearProbe'}}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('config', metavar='CONFIG')
    top.add_argument('checkpoint', metavar='CHECKPOINT')
    top.add_argument('--baselines', action='store_true', help='add rows for raw coordinates and the untrained network')
    top.add_argument('--source', choices=['backbone', 'projector', 'predictor'], help='features to judge (backbone)')
    top.add_argument('--seed', type=int, default=0, help='of the linear probe, and the first of the untrained ones (0)')
    top.add_argument('--work-dir', metavar='DIR', help='folder of the JSON record (beside the checkpoint)')
    top.add_argument('--out', metavar='FILE', help='the JSON record (test_<checkpoint>.json)')
    top.add_argument('--device', help='cpu or cuda (the accelerator if there is one)')
    top.add_argument('--cfg-options', nargs='+', action=DictAction, default={}, metavar='KEY=VALUE')
    top.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    top.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return top


def build_evaluators(cfg: Config, seed: int) -> dict[str, Evaluator]:
    """The config's evaluators, KNN and linear probe in any case; what draws at random gets the seed."""
    configured = (cfg.get('evaluation') or {}).get('evaluators') or {}
    wanted = {**DEFAULT_EVALUATORS, **{name: item for name, item in configured.items() if item is not None}}
    evaluators = {name: EVALUATORS.build(dict(item)) for name, item in wanted.items()}
    for evaluator in evaluators.values():
        if hasattr(evaluator, 'seed'):
            evaluator.seed = seed
    return evaluators


def connect(launcher: str) -> None:
    """Join the processes that the launcher started."""
    if torch.cuda.is_available():
        init_dist(launcher)
    else:
        torch.distributed.init_process_group('gloo')


def judge_rows(args: argparse.Namespace, cfg: Config, device: str) -> dict[str, dict[str, float]]:
    """Row name -> metrics."""
    options = cfg.get('evaluation') or {}
    source = args.source or options.get('source', 'backbone')
    batch_size = options.get('batch_size', 256)
    # All processes extract features, the first one judges them.
    evaluators = build_evaluators(cfg, args.seed) if is_main_process() else {}
    model = load_model(cfg, args.checkpoint).to(device)
    train, test = build_splits(cfg)
    bank, queries = (extract_features(model, dataset, batch_size, source) for dataset in (train, test))
    rows = {}
    if args.baselines:
        seeds = range(args.seed, args.seed + 3)
        rows['raw coordinates'] = judge_raw(evaluators, train, test)
        fresh = partial(fresh_model, cfg, device)
        rows['untrained, 3 seeds'] = judge_untrained(evaluators, fresh, train, test, seeds, batch_size, source)
    rows[Path(args.checkpoint).stem] = judge(evaluators, bank, queries)
    return rows


def fresh_model(cfg: Config, device: str) -> torch.nn.Module:
    """A new network on the device."""
    return load_model(cfg).to(device)


def record_of(args: argparse.Namespace, cfg: Config, rows: dict[str, Any], seconds: float) -> dict[str, Any]:
    """What is written beside the checkpoint."""
    return {
        'config': args.config,
        'config_sha256': hashlib.sha256(cfg.pretty_text.encode()).hexdigest(),
        'cfg_options': {key: str(value) for key, value in args.cfg_options.items()},
        'checkpoint': Path(args.checkpoint).name,
        'checkpoint_sha256': sha256(args.checkpoint),
        'seed': args.seed,
        'data': str(cfg.dataset.data),
        'protocol': cfg.dataset.protocol,
        'stream': cfg.get('stream', 'joint'),
        'source': args.source or (cfg.get('evaluation') or {}).get('source', 'backbone'),
        'metrics': rows,
        **environment(),
        'seconds': round(seconds, 1),
        'finished': datetime.now(timezone.utc).isoformat(timespec='seconds'),
    }


def main() -> None:
    args = parser().parse_args()
    start = time.monotonic()
    cfg = resolve_config(read_config(args.config, args.cfg_options))
    if args.launcher != 'none':
        connect(args.launcher)
    device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
    rows = judge_rows(args, cfg, device)
    if not is_main_process():
        return
    record = record_of(args, cfg, rows, time.monotonic() - start)
    folder = Path(args.work_dir or Path(args.checkpoint).parent)
    out = Path(args.out or folder / f'test_{Path(args.checkpoint).stem}.json')
    write_json(out, record)
    print(
        f'{args.config}, {record["stream"]} stream, {record["data"]} {record["protocol"]}, {record["source"]} features'
    )
    print(metrics_table(rows))
    print(f'{NOTE}\nwrote {out}')


if __name__ == '__main__':
    cli.run(main)
