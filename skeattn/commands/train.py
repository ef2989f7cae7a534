"""Pre-train an encoder, or train a network with labels.

Logs, checkpoints and the config are written to the work_dir, by default ``work_dirs/<method>/<config>``. The same
command gives the same numbers again, bit for bit on the CPU; ``--resume`` continues a stopped run with the same result.
A config that differs from the checkpoint's is refused unless ``--resume-with-changes`` lists the keys that may differ.
"""

import argparse

from skeattn import cli


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = cli.command_parser(
        __doc__,
        'skeattn train skeattnclr/stgcn_demo --dry-run',
        'skeattn train skeattnclr/stgcn_ntu60_xsub --gpus 4 --cfg-options stream=bone',
    )
    cli.add_config(top)
    top.add_argument('--work-dir', help='folder of logs and checkpoints (default: work_dirs/<method>/<config>)')
    top.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='continue from a checkpoint; without a path, from the newest intact one of the work_dir',
    )
    top.add_argument(
        '--resume-with-changes',
        nargs='+',
        default=[],
        metavar='KEY',
        help='resume although these settings differ from those of the checkpoint, which then holds for the rest of the '
        'run: optim_wrapper.optimizer.lr batch_size',
    )
    top.add_argument('--seed', type=int, help='seed of all random draws (default: the config, 0)')
    top.add_argument(
        '--dry-run',
        action='store_true',
        help='take a few steps, print data, steps, time, memory and disk that the training needs, and write nothing',
    )
    top.add_argument('--amp', action='store_true', help='forward pass in bfloat16')
    cli.add_cfg_options(
        top, help='override settings: stream=bone batch_size=64 train_cfg.max_epochs=100; max_iters=2 stops early'
    )
    cli.add_launcher(top)
    return top


def main(args: argparse.Namespace) -> None:
    """Train as the arguments say."""
    cli.launch(None if args.dry_run else args.gpus, 'train.py')
    from pathlib import Path

    from mmengine.dist import is_main_process

    from skeattn.engine import SkeAttnRunner
    from skeattn.engine.config import read_config
    from skeattn.engine.summary import describe, how_to_continue, summary
    from skeattn.engine.work_dir import default_work_dir, failed_start_removed
    from skeattn.errors import Interrupted, number_of
    from skeattn.experiments.data import generate_missing

    cfg = read_config(args.config, args.cfg_options)
    cfg.work_dir = args.work_dir or cfg.get('work_dir')
    cfg.launcher = args.launcher
    generate_missing(cfg.get('dataset', {}).get('data'))
    if args.seed is not None:
        cfg.seed = args.seed
    if args.amp:
        cfg.amp = True
    if args.dry_run:
        from skeattn.engine.rehearsal import rehearse

        print(rehearse(cfg, args.gpus or 1))
        return
    start_from = cfg.get('load_from')
    if args.resume or args.resume_with_changes:
        cfg.resume = True
        cfg.load_from = None if args.resume in (None, 'auto') else args.resume
    with failed_start_removed(Path(cfg.work_dir or default_work_dir(args.config))):
        runner = SkeAttnRunner.from_cfg(cfg, args.resume_with_changes, start_from)
        runner.logger.info(describe(runner))
        try:
            runner.train()
        except KeyboardInterrupt as interrupt:
            raise Interrupted(how_to_continue(runner.work_dir), number_of(interrupt)) from None
    if is_main_process():
        print(summary(runner, args.config, args.cfg_options))
