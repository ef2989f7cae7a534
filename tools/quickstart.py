"""From generated data to a table and pictures; quickstart.sh runs this script after the installation.

Pre-trains SkeletonCLR and SkeAttnCLR in parallel, each in one process with one thread, and evaluates them beside raw
coordinates and the untrained encoder. All encoders are read joint by joint; raw coordinates are the whole clip, their
strongest form. Every run gives the same table, bit for bit.
"""

import argparse
from pathlib import Path

from skeattn import cli
from skeattn.results.report import WHOLE_ROW, heading

RAW, UNTRAINED = WHOLE_ROW, 'untrained encoder'
TARGETS = {'knn/top1_k1': 10.0, 'probe/top1': 0.0}
"""Points of SkeAttnCLR above raw coordinates that --check requires; more than 0 for 0."""


def title(metric: str) -> str:
    """A metric in one line."""
    return heading(metric).replace('\n', ' ')


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('--work-dir', type=Path, default=Path('work_dirs/quickstart'))
    required = ', '.join(f'{title(metric)} by {points:.0f} points' for metric, points in TARGETS.items())
    top.add_argument('--check', action='store_true', help=f'fail unless SkeAttnCLR exceeds {RAW}: {required}')
    top.add_argument(
        '--cfg-options',
        nargs='+',
        action=cli.KeyValue,
        default={},
        metavar='KEY=VALUE',
        help='overrides of both configs',
    )
    return top


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

import os
import shutil
import sys
import time
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from mmengine.logging import MMLogger

from skeattn.apis import build_splits, load_model
from skeattn.checkpoint import find_newest
from skeattn.datasets.union import folders_of
from skeattn.engine.config import evaluates_in_autocast, read_config, resolve_config
from skeattn.errors import SkeAttnError
from skeattn.evaluation import Features, extract_features, raw_features
from skeattn.evaluation.baselines import untrained
from skeattn.evaluation.evaluator import evaluate_all
from skeattn.evaluation.mask_motion import MaskMotion, caption, describe, mask_motion, motion_table
from skeattn.experiments.data import prepare_data
from skeattn.experiments.process import Clock, Job, leave_on_sigterm
from skeattn.experiments.run import LOG_INTERVAL, count_iterations, train_command
from skeattn.experiments.training_log import TrainingLog
from skeattn.files import sha256, write_json, write_text
from skeattn.protocols.settings import build_protocol, read_protocol
from skeattn.results.provenance import environment
from skeattn.results.report import metrics_table

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = {'SkeletonCLR': 'configs/skeletonclr/stgcn_demo.py', 'SkeAttnCLR': 'configs/skeattnclr/stgcn_demo.py'}
READOUT = 'joints'
PROTOCOLS = ('knn', 'probe')
COLUMNS = [*(f'knn/top1_k{k}' for k in (1, 5, 10, 20)), 'probe/top1']
NOTE = (
    'Accuracy on the test clips in %. An encoder is read joint by joint (readout joints), raw coordinates as the whole '
    'clip.\n"KNN": K nearest training clips; "probe": a linear classifier, its penalty chosen on held-out training '
    'subjects.'
)
CLOCK = Clock()


def start(name: str, work_dir: Path, options: dict[str, Any]) -> Job:
    """Start a pre-training from scratch in a separate process."""
    shutil.rmtree(work_dir, ignore_errors=True)
    # The curves of the training are drawn beside rows of the table, so they have its readout.
    command = train_command(CONFIGS[name], work_dir, {**LOG_INTERVAL, 'evaluation.readout': READOUT, **options})
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
        settings = {name: read_protocol(name, self.configs['SkeAttnCLR']) for name in PROTOCOLS}
        self.evaluators = {name: build_protocol(item, seed=0) for name, item in settings.items()}
        self.rows: dict[str, dict[str, float]] = {}
        self.maps: dict[str, Features] = {}
        self.models: dict[str, Any] = {}

    def add_baselines(self) -> None:
        """Add the rows without training."""
        self._add(RAW, raw_features(self.train), raw_features(self.test))
        self._add_encoder(UNTRAINED, untrained(lambda: load_model(self.configs['SkeAttnCLR']), self.train))

    def add_trained(self, training: Job) -> None:
        """Add the row of a method, from its last checkpoint."""
        self._add_encoder(training.name, load_model(self.configs[training.name], newest(training)))

    def _add_encoder(self, name: str, model: Any) -> None:
        self.models[name] = model
        autocast = evaluates_in_autocast(self.configs['SkeAttnCLR'])
        parts = (self.train, self.test)
        self._add(name, *(extract_features(model, part, readout=READOUT, autocast=autocast) for part in parts))

    def _add(self, name: str, bank: Features, queries: Features) -> None:
        self.rows[name] = evaluate_all(self.evaluators, bank, queries)
        self.maps[name] = queries

    @cached_property
    def masked(self) -> dict[str, Any]:
        """The networks whose masks are compared."""
        return {'untrained': self.models[UNTRAINED], 'trained': self.models['SkeAttnCLR']}

    @cached_property
    def motions(self) -> dict[str, MaskMotion]:
        """Each network's mask, compared with the movement of the test clips."""
        return {name: mask_motion(model, self.test) for name, model in self.masked.items()}

    def draw(self, out: Path) -> None:
        """Draw the three pictures."""
        from skeattn.visualization import draw_curves, draw_embedding, masked_clips, play_masks

        levels = {name: self.rows[name]['knn/top1_k1'] for name in (RAW, UNTRAINED)}
        runs = {name: out / name.lower() for name in CONFIGS}
        draw_curves(runs, out / 'curves.png', levels=levels, title=f'Pre-training, readout {READOUT}')
        clips = f'{len(self.test)} test clips, of subjects that are not in the training set'
        draw_embedding(self.maps, self.test.classes, out / 'embedding.png', f't-SNE of the {clips}, readout {READOUT}')
        played = masked_clips(self.masked, self.test, showpieces(self.test))
        low, high = play_masks(played, self.test.layout, out / 'mask.gif', mask_title(self.motions))
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


def gains(rows: dict[str, dict[str, float]]) -> dict[str, float]:
    """Points of SkeAttnCLR above raw coordinates, per metric of the targets."""
    return {metric: rows['SkeAttnCLR'][metric] - rows[RAW][metric] for metric in TARGETS}


def missed(gained: dict[str, float]) -> list[str]:
    """The targets that are not reached, a line for each."""
    return [
        f'{title(metric)} of SkeAttnCLR over raw coordinates: {gained[metric]:+.1f} points, '
        f'{f"{points:+.1f}" if points else "more than 0"} required'
        for metric, points in TARGETS.items()
        if gained[metric] < points or gained[metric] <= 0
    ]


def main() -> int:
    args = parser().parse_args()
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
    table = metrics_table(comparison.rows, COLUMNS, READOUT)
    gained = gains(comparison.rows)
    write_text(out / 'table.txt', f'{table}\n')
    record = {
        'configs': CONFIGS,
        'checkpoints': {name: sha256(newest(training)) for name, training in trainings.items()},
        'readout': READOUT,
        'metrics': comparison.rows,
        'gain_over_raw': gained,
        'mask_motion': {name: motion.facts(comparison.test.classes) for name, motion in comparison.motions.items()},
        **environment(),
        'seconds': round(CLOCK.seconds, 1),
    }
    write_json(out / 'results.json', record)
    print(f'\n{table}\n{NOTE}\n')
    print_masks(comparison.motions, comparison.test.classes)
    listed = ', '.join(f'{title(metric)} {gain:+.1f}' for metric, gain in gained.items())
    print(f'SkeAttnCLR above {RAW}: {listed}')
    CLOCK.report(f'table.txt, results.json, curves.png, embedding.png and mask.gif are in {out}')
    if check and (lines := missed(gained)):
        print('\n'.join(f'check failed: {line}' for line in lines), file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    cli.run(main)
