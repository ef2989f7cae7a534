"""From generated data to a table and pictures; quickstart.sh runs this script after the installation.

Pre-trains SkeletonCLR and SkeAttnCLR in parallel, each in one process with one thread, and evaluates them beside raw
coordinates and the untrained encoder. Every run gives the same table, bit for bit.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import MMLogger

from skeattn import cli
from skeattn.apis import build_splits, load_model
from skeattn.checkpoint import find_newest
from skeattn.datasets.union import folders_of
from skeattn.engine.config import read_config, resolve_config
from skeattn.errors import SkeAttnError
from skeattn.evaluation import Features, KNNEvaluator, LinearProbe, extract_features, raw_features
from skeattn.evaluation.baselines import evaluate_raw, evaluate_untrained, untrained
from skeattn.evaluation.evaluator import evaluate_all
from skeattn.evaluation.mask_motion import MaskMotion, caption, describe, mask_motion, motion_table
from skeattn.experiments import Clock, Job, prepare_data, train_command
from skeattn.experiments.process import leave_on_sigterm
from skeattn.experiments.run import LOG_INTERVAL, count_iterations
from skeattn.experiments.training_log import TrainingLog
from skeattn.files import sha256, write_json, write_text
from skeattn.results.provenance import environment
from skeattn.results.report import NOTE, metrics_table

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = {'SkeletonCLR': 'configs/skeletonclr/stgcn_demo.py', 'SkeAttnCLR': 'configs/skeattnclr/stgcn_demo.py'}
RAW, UNTRAINED = 'raw coordinates', 'untrained encoder, mean of 3 seeds'
K = (1, 5, 10, 20)
COLUMNS = [*(f'knn/top1_k{k}' for k in K), 'linear/top1', 'linear/top1_best', 'linear/top1_heldout']
GAIN = 20.0
"""Points of KNN accuracy over the untrained encoder that --check requires."""
CLOCK = Clock()


def start(name: str, work_dir: Path, options: dict[str, Any]) -> Job:
    """Start a pre-training from scratch in a separate process."""
    shutil.rmtree(work_dir, ignore_errors=True)
    command = train_command(CONFIGS[name], work_dir, {**LOG_INTERVAL, **options})
    log = TrainingLog(work_dir, lambda: count_iterations(resolve_config(read_config(CONFIGS[name], options))))
    return Job(name, command, work_dir / 'train.log', training=log)


def wait_for(job: Job, running: list[Job]) -> None:
    """Wait for the end of one training; report the progress of all."""
    shown = time.monotonic()
    while job.process.poll() is None:
        time.sleep(0.5)
        for training in running:
            training.check()
        if time.monotonic() - shown > 10:
            CLOCK.report('; '.join(training.progress()[0] for training in running))
            shown = time.monotonic()
    job.check()
    CLOCK.report(f'{job.name} is trained')


class Comparison:
    """Clips, evaluators, and the rows of the table so far."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.configs = {name: resolve_config(read_config(path, options)) for name, path in CONFIGS.items()}
        self.train, self.test = build_splits(self.configs['SkeAttnCLR'])
        self.evaluators = {'knn': KNNEvaluator(K), 'linear': LinearProbe()}
        self.rows: dict[str, dict[str, float]] = {}
        self.maps: dict[str, Features] = {}
        self.models: dict[str, Any] = {}

    def fresh(self) -> Any:
        """The untrained network."""
        return load_model(self.configs['SkeAttnCLR'])

    def add_baselines(self) -> None:
        """Add the rows without training."""
        self.rows[RAW] = evaluate_raw(self.evaluators, self.train, self.test)
        self.rows[UNTRAINED] = evaluate_untrained(self.evaluators, self.fresh, self.train, self.test)
        self.models['untrained'] = untrained(self.fresh, self.train)
        self.maps = {RAW: raw_features(self.test), 'untrained': extract_features(self.models['untrained'], self.test)}

    def add_trained(self, training: Job) -> None:
        """Add the row of a method, from its last checkpoint."""
        model = self.models[training.name] = load_model(self.configs[training.name], newest(training))
        bank, queries = (extract_features(model, dataset) for dataset in (self.train, self.test))
        self.rows[training.name] = evaluate_all(self.evaluators, bank, queries)
        self.maps[training.name] = queries

    @cached_property
    def masked(self) -> dict[str, Any]:
        """The networks whose masks are compared."""
        return {'untrained': self.models['untrained'], 'trained': self.models['SkeAttnCLR']}

    @cached_property
    def motions(self) -> dict[str, MaskMotion]:
        """Each network's mask, compared with the movement of the test clips."""
        return {name: mask_motion(model, self.test) for name, model in self.masked.items()}

    def draw(self, out: Path) -> None:
        """Draw the three pictures."""
        from skeattn.visualization import draw_curves, draw_embedding, masked_clips, play_masks

        levels = {'raw coordinates': self.rows[RAW]['knn/top1_k1'], 'untrained': self.rows[UNTRAINED]['knn/top1_k1']}
        draw_curves({name: out / name.lower() for name in CONFIGS}, out / 'curves.png', levels=levels)
        title = f't-SNE of the {len(self.test)} test clips, of subjects that are not in the training set'
        draw_embedding(self.maps, self.test.classes, out / 'embedding.png', title)
        clips = masked_clips(self.masked, self.test, showpieces(self.test))
        low, high = play_masks(clips, self.test.layout, out / 'mask.gif', mask_title(self.motions))
        CLOCK.report(f'mask.gif: mask values from {low:.4f} to {high:.4f}, on one scale for both masks')


def newest(training: Job) -> Path:
    """The last checkpoint of a training."""
    checkpoint = find_newest(training.log.parent)
    if checkpoint is None:
        raise SkeAttnError(f'{training.log.parent} holds no checkpoint; read {training.log}')
    return checkpoint


def showpieces(dataset: Any, count: int = 4) -> list[int]:
    """Indices of test clips of different classes, the last one with two persons if there is such a clip."""
    labels = torch.as_tensor(dataset.labels)
    pairs = torch.as_tensor(dataset.clips[..., -1]).flatten(1).any(1) & (dataset.clips.shape[-1] > 1)
    single = [int(label) for label in labels[~pairs].unique()]
    classes = [single[i * len(single) // count] for i in range(count - int(pairs.any()))]
    indices = [int(torch.nonzero((labels == label) & ~pairs)[0]) for label in classes]
    return indices + [int(i) for i in torch.nonzero(pairs)[:1]]


def mask_title(motions: dict[str, MaskMotion]) -> str:
    """Title of the picture of the masks: what the trained mask shows, with its number."""
    trained = motions['trained'].mean
    return f'MHSAM salient mask: {describe(trained)} (correlation with joint speed {trained:.2f})'


def print_masks(motions: dict[str, MaskMotion], classes: Sequence[str]) -> None:
    """Print the correlation of the masks with movement, their ranges, and the caption of the picture."""
    print(f'Correlation of the mask and the speed of the joints\n{motion_table(motions, classes)}')
    for name, motion in motions.items():
        print(f'{name}: mask values from {motion.low:.4f} to {motion.high:.4f}')
    print(caption(*(motion.mean for motion in motions.values())) + '\n')


def gains(rows: dict[str, dict[str, float]]) -> dict[int, float]:
    """Points of KNN accuracy of SkeAttnCLR over the untrained encoder, per K."""
    return {k: rows['SkeAttnCLR'][f'knn/top1_k{k}'] - rows[UNTRAINED][f'knn/top1_k{k}'] for k in K}


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/quickstart'))
    parser.add_argument(
        '--check', action='store_true', help=f'fail unless SkeAttnCLR gains {GAIN:.0f} points of KNN over untrained'
    )
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=cli.KeyValue,
        default={},
        metavar='KEY=VALUE',
        help='overrides of both configs',
    )
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    os.chdir(ROOT)
    leave_on_sigterm()  # ends the trainings as well
    torch.set_num_threads(1)
    MMLogger.get_instance('quickstart', log_level='WARNING')
    out = args.work_dir
    for folder in folders_of(read_config(CONFIGS['SkeAttnCLR'], args.cfg_options).dataset.data):
        prepare_data(folder, CLOCK.report)
    CLOCK.report('pre-training SkeletonCLR and SkeAttnCLR in parallel, one core each')
    trainings = {name: start(name, out / name.lower(), args.cfg_options) for name in CONFIGS}
    try:
        comparison = Comparison(args.cfg_options)
        # The baseline is trained earlier; its core then evaluates while SkeAttnCLR still trains.
        wait_for(trainings['SkeletonCLR'], list(trainings.values()))
        CLOCK.report('evaluating raw coordinates, the untrained encoder and SkeletonCLR')
        comparison.add_baselines()
        comparison.add_trained(trainings['SkeletonCLR'])
        wait_for(trainings['SkeAttnCLR'], [trainings['SkeAttnCLR']])
    finally:
        for training in trainings.values():
            training.stop()
    comparison.add_trained(trainings['SkeAttnCLR'])
    CLOCK.report('drawing')
    comparison.draw(out)
    return report(comparison, trainings, out, args.check)


def report(comparison: Comparison, trainings: dict[str, Job], out: Path, check: bool) -> int:
    """Print and write the table; returns the exit status of ``--check``."""
    table = metrics_table(comparison.rows, COLUMNS)
    gained = gains(comparison.rows)
    write_text(out / 'table.txt', f'{table}\n')
    record = {
        'configs': CONFIGS,
        'checkpoints': {name: sha256(newest(training)) for name, training in trainings.items()},
        'metrics': comparison.rows,
        'knn_gain_over_untrained': gained,
        'mask_motion': {name: motion.facts(comparison.test.classes) for name, motion in comparison.motions.items()},
        **environment(),
        'seconds': round(CLOCK.seconds, 1),
    }
    write_json(out / 'results.json', record)
    print(f'\n{table}\n{NOTE}\n')
    print_masks(comparison.motions, comparison.test.classes)
    print('KNN of SkeAttnCLR over untrained: ' + ', '.join(f'K={k} {gain:+.1f}' for k, gain in gained.items()))
    CLOCK.report(f'table.txt, results.json, curves.png, embedding.png and mask.gif are in {out}')
    if check and min(gained.values()) < GAIN:
        print(f'check failed: fewer than {GAIN:.0f} points over the untrained encoder', file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    cli.run(main)
