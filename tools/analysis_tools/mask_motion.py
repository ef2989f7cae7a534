"""Correlation of the salient mask with the speed of the joints, by class, before and after training.

    python tools/analysis_tools/mask_motion.py CONFIG CHECKPOINT

Pearson's correlation over the frames and joints of each clip, averaged over the clips of a class. The untrained network
has the config's seed and BatchNorm statistics of the training clips.
"""

import argparse

from skeattn import cli


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('config', metavar='CONFIG')
    top.add_argument('checkpoint', metavar='CHECKPOINT', help='a file or a work_dir')
    top.add_argument('--split', choices=['train', 'test'], default='test', help='the clips (test)')
    top.add_argument('--format', default='simple', choices=['simple', 'github'], help='github: Markdown')
    top.add_argument('--device')
    top.add_argument('--out', metavar='FILE', help='write the numbers as JSON')
    top.add_argument('--cfg-options', nargs='+', action=cli.KeyValue, default={}, metavar='KEY=VALUE')
    return top


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

from functools import partial

from skeattn.apis import load_model
from skeattn.datasets.splits import of_part
from skeattn.engine.build import newest
from skeattn.engine.config import read_config, resolve_config
from skeattn.evaluation.baselines import untrained
from skeattn.evaluation.mask_motion import describe, mask_motion, motion_table
from skeattn.files import write_json
from skeattn.registry import DATASETS


def main() -> None:
    args = parser().parse_args()
    args.device = cli.device_or_best(args.device)
    cfg = resolve_config(read_config(args.config, args.cfg_options))
    checkpoint = newest(args.checkpoint)
    clips = DATASETS.build(of_part(cfg.dataset, args.split))
    train = clips if args.split == 'train' else DATASETS.build(of_part(cfg.dataset, 'train'))
    build = partial(load_model, cfg)
    networks = {
        'untrained': untrained(lambda: build().to(args.device), train, cfg.get('seed') or 0),
        'trained': build(checkpoint).to(args.device),
    }
    motions = {name: mask_motion(network, clips) for name, network in networks.items()}
    print(motion_table(motions, clips.classes, args.format))
    for name, motion in motions.items():
        print(f'{name}: mask values from {motion.low:.4f} to {motion.high:.4f}; the mask {describe(motion.mean)}')
    if args.out:
        write_json(args.out, {name: motion.facts(clips.classes) for name, motion in motions.items()})
        print(f'wrote {args.out}')


if __name__ == '__main__':
    cli.run(main)
