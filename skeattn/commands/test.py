"""Evaluate a checkpoint by nearest neighbours, probes, fine-tuning, retrieval, and maps of its features.

The encoder runs once over the training and the test clips; KNN, probes, retrieval and maps use these features;
fine-tuning trains the encoder further. Prints a table for each protocol and writes a JSON record, with class scores and
pictures beside it, into the folder of the checkpoint. CHECKPOINT is a file, a work_dir (its newest checkpoint), or the
word 'untrained' (the network before training). See docs/protocols.md.
"""

import argparse
import json
from typing import Any

from skeattn import cli
from skeattn.choices import READOUTS, protocol_names


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = cli.command_parser(
        __doc__,
        'skeattn test skeattnclr/stgcn_demo work_dirs/skeattnclr/stgcn_demo --baselines',
        'skeattn test skeattnclr/stgcn_demo untrained --protocol knn linear',
    )
    cli.add_config(top)
    top.add_argument('checkpoint', metavar='CHECKPOINT', help='a file, a work_dir, or untrained')
    top.add_argument(
        '--protocol',
        nargs='+',
        action='extend',
        default=[],
        metavar='NAME',
        help=f'{", ".join(protocol_names())}, or a file; several at once, also with commas '
        f'(default: knn, linear and the other evaluators of the config; topk for logits)',
    )
    top.add_argument('--baselines', action='store_true', help='add rows for raw coordinates and the untrained network')
    top.add_argument(
        '--source',
        nargs='+',
        action='extend',
        default=[],
        metavar='SOURCE',
        help='features to evaluate: backbone, projector, predictor, logits, joint/backbone …, if the method has them, '
        'or raw for the coordinates; several at once (default: those of the protocol, the config and the method)',
    )
    top.add_argument(
        '--readout',
        nargs='+',
        action='extend',
        default=[],
        metavar='READOUT',
        help=f'{", ".join(READOUTS)}: how a map becomes a vector; several at once, a table each (default: the mean, or '
        f'that of the protocol or the config)',
    )
    cli.add_config(top, '--dataset', help='evaluate on the data set of a different config (transfer)')
    top.add_argument('--seed', type=int, default=0, help='of the protocols, and first seed of untrained networks (0)')
    top.add_argument('--work-dir', metavar='DIR', help='folder of the JSON record (beside the checkpoint)')
    top.add_argument(
        '--out', metavar='FILE', help='the JSON record (test_<checkpoint>_<digest of the evaluation>.json)'
    )
    top.add_argument(
        '--facts', type=json_object, default={}, metavar='JSON', help='further fields of the record, such as name'
    )
    top.add_argument('--device', help='cpu or cuda (the accelerator if there is one)')
    cli.add_cfg_options(top)
    cli.add_launcher(top)
    return top


def json_object(text: str) -> dict[str, Any]:
    """The type of ``--facts``: a JSON object."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f'{text!r} is no JSON: {error}') from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f'{text!r} is no JSON object, such as {{"name": "a long training"}}')
    return value


def listed(arguments: list[str]) -> list[str]:
    """Names from ``a b``, ``a,b`` and ``{a,b}``, which some shells do not expand."""
    return [name for argument in arguments for name in argument.strip('{}').split(',') if name]


def connect(launcher: str) -> None:
    """Join the process group of the launcher."""
    import torch
    from mmengine.dist import init_dist

    if torch.cuda.is_available():
        init_dist(launcher)
    else:
        torch.distributed.init_process_group('gloo')


def main(args: argparse.Namespace) -> None:
    """Evaluate, print the tables and write the record."""
    cli.launch(args.gpus, 'test.py')
    from pathlib import Path

    from mmengine.dist import is_main_process

    from skeattn.engine.build import newest
    from skeattn.engine.config import read_config, resolve_config
    from skeattn.engine.retarget import retarget
    from skeattn.engine.work_dir import default_work_dir
    from skeattn.experiments.data import generate_missing
    from skeattn.files import check_writable
    from skeattn.models.readout import MEAN
    from skeattn.protocols.evaluate import UNTRAINED, Evaluation
    from skeattn.protocols.summary import report
    from skeattn.results.provenance import pretrained_facts

    checkpoint = None if args.checkpoint == UNTRAINED else str(newest(args.checkpoint))
    args.device = cli.device(args.device)
    facts = {'config': args.config, 'cfg_options': {key: str(value) for key, value in args.cfg_options.items()}}
    cfg = read_config(args.config, args.cfg_options)
    if args.dataset:
        cfg = retarget(cfg, args.dataset)
        cfg.merge_from_dict(args.cfg_options)  # overrides of the data set belong to the target
        facts |= {'dataset': args.dataset, 'pretrained': checkpoint and pretrained_facts(checkpoint)}
    generate_missing(cfg.get('dataset', {}).get('data'))
    if args.launcher != 'none':
        connect(args.launcher)
    named = listed(args.protocol), listed(args.source), args.seed, args.baselines, args.device, listed(args.readout)
    evaluation = Evaluation(resolve_config(cfg), checkpoint, *named)
    beside = Path(checkpoint).parent if checkpoint else default_work_dir(args.config)
    readouts = [readout for readout in evaluation.readouts if readout != MEAN]
    stem = '_'.join(['test', Path(checkpoint or UNTRAINED).stem, *readouts, evaluation.id[:8]])
    out = Path(args.out or Path(args.work_dir or beside) / f'{stem}.json')
    if is_main_process():  # it alone writes; a check makes and removes the folder
        check_writable(out)
    record = evaluation.run(out, {**facts, **args.facts})
    if is_main_process():
        print(report(args.config, evaluation, record, out))
