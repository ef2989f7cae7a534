"""Judge a checkpoint by KNN and the linear protocol: python tools/test.py CONFIG CHECKPOINT [--baselines]

The encoder runs once over the training and the test clips; everything else works on those features. Prints one table
and writes a JSON record beside the checkpoint. CHECKPOINT may be a work_dir, for the newest one in it, or the word
'untrained', for the network as it is before training.
"""

import argparse
import json
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import init_dist, is_main_process

from skeattn import cli
from skeattn.apis import build_splits, load_model
from skeattn.engine.checkpoint import find_newest
from skeattn.engine.config import read_config, resolve_config
from skeattn.engine.runner import default_work_dir
from skeattn.errors import CheckpointError
from skeattn.evaluation import extract_features
from skeattn.evaluation.baselines import Evaluator, judge, judge_raw, judge_untrained, untrained
from skeattn.evaluation.complexity import encoder_cost, sample_batch, training_cost
from skeattn.evaluation.record import config_facts, environment, sha256, training_facts, write_json
from skeattn.evaluation.report import NOTE, metrics_table
from skeattn.registry import EVALUATORS

DEFAULT_EVALUATORS = {'knn': {'type': 'KNNEvaluator'}, 'linear': {'type': 'LinearProbe'}}
OF_LOGITS = {'topk': {'type': 'TopK'}}
RAW, UNTRAINED = 'raw', 'untrained'


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('config', metavar='CONFIG')
    top.add_argument('checkpoint', metavar='CHECKPOINT', type=checkpoint, help='a file, a work_dir, or untrained')
    top.add_argument('--baselines', action='store_true', help='add rows for raw coordinates and the untrained network')
    top.add_argument(
        '--source',
        nargs='+',
        action='extend',
        metavar='SOURCE',
        help='features to judge: backbone, projector, predictor, logits, joint/backbone …, as far as the method has '
        'them, or raw, the coordinates; several at once (default: what the config and the method name)',
    )
    top.add_argument('--seed', type=int, default=0, help='of the linear probe, and the first of the untrained ones (0)')
    top.add_argument('--work-dir', metavar='DIR', help='folder of the JSON record (beside the checkpoint)')
    top.add_argument('--out', metavar='FILE', help='the JSON record (test_<checkpoint>.json)')
    top.add_argument('--facts', type=json.loads, default={}, metavar='JSON', help='more to record: name, origin')
    top.add_argument('--device', help='cpu or cuda (the accelerator if there is one)')
    top.add_argument('--cfg-options', nargs='+', action=cli.KeyValue, default={}, metavar='KEY=VALUE')
    top.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    top.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return top


def checkpoint(argument: str) -> str | None:
    """The file that the command line means; None for the untrained network."""
    if not Path(argument).is_dir():
        return None if argument == UNTRAINED else argument
    found = find_newest(argument)
    if found is None:
        raise CheckpointError(f'{argument} holds no checkpoint; train first, with --work-dir {argument}')
    return str(found)


def build_evaluators(cfg: Config, seed: int, source: str = 'backbone') -> dict[str, Evaluator]:
    """The config's evaluators of features, KNN and linear probe in any case; logits are judged by TopK alone.

    What draws at random gets the seed.
    """
    configured = (cfg.get('evaluation') or {}).get('evaluators') or {}
    logits = source == 'logits'
    fitting = {name: item for name, item in configured.items() if item and (item['type'] == 'TopK') == logits}
    wanted = (fitting or OF_LOGITS) if logits else {**DEFAULT_EVALUATORS, **fitting}
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


class Judging:
    """A config's clips, and what judges them."""

    def __init__(self, args: argparse.Namespace, cfg: Config) -> None:
        self.args, self.cfg = args, cfg
        self.device = args.device or ('cuda' if torch.cuda.is_available() else 'cpu')
        self.batch_size = (cfg.get('evaluation') or {}).get('batch_size', 256)
        self.train, self.test = build_splits(cfg)
        self.model = load_model(cfg, args.checkpoint).to(self.device)

    def sources(self) -> list[str]:
        """The features asked for, or those that the config and the method name."""
        named = (self.cfg.get('evaluation') or {}).get('source', 'backbone')
        return self.args.source or list(dict.fromkeys([named, *self.model.feature_sources()]))

    def evaluators(self, source: str) -> dict[str, Evaluator]:
        """All processes extract features, the first one judges them."""
        return build_evaluators(self.cfg, self.args.seed, source) if is_main_process() else {}

    def fresh(self) -> torch.nn.Module:
        """A new network on the device."""
        return load_model(self.cfg).to(self.device)

    def judge(self, source: str) -> dict[str, Any]:
        """Metrics, streams and cost of features."""
        evaluators = self.evaluators(source)
        if source == RAW:
            metrics = judge_raw(evaluators, self.train, self.test)
            return {'streams': ['joint'], 'metrics': metrics, 'parameters': 0, 'gmacs': 0.0}
        model = self.model
        if self.args.checkpoint is None:
            model = untrained(self.fresh, self.train, self.args.seed, self.batch_size, source)
        bank, queries = (extract_features(model, part, self.batch_size, source) for part in (self.train, self.test))
        stream = source.rpartition('/')[0] or self.cfg.get('stream', 'joint')
        return {
            'streams': [stream] if isinstance(stream, str) else list(stream),
            'metrics': judge(evaluators, bank, queries),
            **encoder_cost(model, sample_batch(self.train), source),
        }

    def baselines(self, source: str) -> dict[str, dict[str, float]]:
        """Row -> metrics of what a trained encoder has to beat."""
        evaluators, seeds = self.evaluators(source), range(self.args.seed, self.args.seed + 3)
        return {
            'raw coordinates': judge_raw(evaluators, self.train, self.test),
            'untrained, 3 seeds': judge_untrained(
                evaluators, self.fresh, self.train, self.test, seeds, self.batch_size, source
            ),
        }


def record_of(judging: Judging) -> dict[str, Any]:
    """What is written beside the checkpoint."""
    args, cfg, start = judging.args, judging.cfg, time.monotonic()
    sources = judging.sources()
    features = [source for source in sources if source not in ('logits', RAW)]
    record = {
        'name': cfg.model.type,
        'config': args.config,
        'cfg_options': {key: str(value) for key, value in args.cfg_options.items()},
        **args.facts,
        **config_facts(cfg),
        'seed': args.seed,
        'checkpoint': args.checkpoint and Path(args.checkpoint).name,
        'checkpoint_sha256': args.checkpoint and sha256(args.checkpoint),
        'training': {**training_facts(args.checkpoint), **training_cost(judging.fresh(), sample_batch(judging.train))}
        if args.checkpoint
        else None,
        'baselines': judging.baselines(features[0] if features else 'backbone') if args.baselines else {},
        'sources': {source: judging.judge(source) for source in sources},
    }
    seconds = round(time.monotonic() - start, 1)
    finished = datetime.now(timezone.utc).isoformat(timespec='seconds')
    return {**record, **environment(), 'seconds': seconds, 'finished': finished}


def rows_of(record: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Row name -> metrics."""
    stem = Path(record['checkpoint']).stem if record['checkpoint'] else f'{UNTRAINED}, seed {record["seed"]}'
    names = {source: stem if len(record['sources']) == 1 else f'{stem}, {source}' for source in record['sources']}
    return {**record['baselines'], **{names[source]: part['metrics'] for source, part in record['sources'].items()}}


def main() -> None:
    args = parser().parse_args()
    cfg = resolve_config(read_config(args.config, args.cfg_options))
    if args.launcher != 'none':
        connect(args.launcher)
    record = record_of(Judging(args, cfg))
    if not is_main_process():
        return
    beside = Path(args.checkpoint).parent if args.checkpoint else default_work_dir(args.config)
    out = Path(args.out or Path(args.work_dir or beside) / f'test_{Path(args.checkpoint or UNTRAINED).stem}.json')
    write_json(out, record)
    sources = ', '.join(record['sources'])
    stream = record['stream'] if isinstance(record['stream'], str) else '+'.join(record['stream'])
    print(f'{args.config}, {stream} stream, {record["data"]} {record["protocol"]}, {sources} features')
    print(metrics_table(rows_of(record)))
    print(f'{NOTE}\nwrote {out}')


if __name__ == '__main__':
    cli.run(main)
