"""Evaluate a checkpoint: python tools/test.py CONFIG CHECKPOINT [--protocol knn linear finetune semi01 retrieval tsne]

The encoder runs once over the training and the test clips; KNN, probes, retrieval and maps use these features;
fine-tuning trains the encoder further. Prints a table for each protocol and writes a JSON record, with class scores and
pictures beside it, into the folder of the checkpoint. CHECKPOINT is a file, a work_dir (its newest checkpoint), or the
word 'untrained' (the network before training). See docs/protocols.md.
"""

import argparse
import json

from skeattn import cli
from skeattn.choices import READOUTS, protocol_names


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('config', metavar='CONFIG')
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
    top.add_argument('--dataset', metavar='CONFIG', help='evaluate on the data set of a different config (transfer)')
    top.add_argument('--seed', type=int, default=0, help='of the protocols, and first seed of untrained networks (0)')
    top.add_argument('--work-dir', metavar='DIR', help='folder of the JSON record (beside the checkpoint)')
    top.add_argument(
        '--out', metavar='FILE', help='the JSON record (test_<checkpoint>_<digest of the evaluation>.json)'
    )
    top.add_argument(
        '--facts', type=json.loads, default={}, metavar='JSON', help='further fields of the record, such as name'
    )
    top.add_argument('--device', help='cpu or cuda (the accelerator if there is one)')
    top.add_argument('--cfg-options', nargs='+', action=cli.KeyValue, default={}, metavar='KEY=VALUE')
    top.add_argument('--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none')
    top.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)
    return top


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

from pathlib import Path

import torch
from mmengine.dist import init_dist, is_main_process

from skeattn.engine.build import newest
from skeattn.engine.config import read_config, resolve_config
from skeattn.engine.retarget import retarget, transfer_text
from skeattn.engine.work_dir import default_work_dir
from skeattn.models.readout import MEAN, split_source
from skeattn.protocols.evaluate import RAW, UNTRAINED, Evaluation
from skeattn.protocols.plan import trains
from skeattn.results.provenance import pretrained_facts
from skeattn.results.record import Record
from skeattn.results.report import NOTE, RAW_ROW, WITHOUT, blanks, by_readout, of_readout, protocol_tables


def checkpoint(argument: str) -> str | None:
    """The file of the argument CHECKPOINT; None for the untrained network."""
    return None if argument == UNTRAINED else str(newest(argument))


def listed(arguments: list[str]) -> list[str]:
    """Names from ``a b``, ``a,b`` and ``{a,b}``, which some shells do not expand."""
    return [name for argument in arguments for name in argument.strip('{}').split(',') if name]


def connect(launcher: str) -> None:
    """Join the process group of the launcher."""
    if torch.cuda.is_available():
        init_dist(launcher)
    else:
        torch.distributed.init_process_group('gloo')


def rows_of(record: Record) -> dict[str, dict[str, float]]:
    """Row name, with its readout, -> metrics."""
    stem = Path(str(record.checkpoint)).stem if record.checkpoint else f'{UNTRAINED}, seed {record.seed}'
    several = len({split_source(source)[0] for source in record.sources}) > 1
    rows = dict(record.baselines)
    for source, part in record.sources.items():
        features = split_source(source)[0]
        name = RAW_ROW if features == RAW else f'{stem}, {features}' if several else stem
        name = of_readout(name, part.readout)
        rows[name] = part.metrics
        if part.metrics_without_copies:
            rows[name + WITHOUT] = part.metrics_without_copies
    return rows


def notes_of(record: Record) -> dict[str, str]:
    """Metric -> reason why it is missing."""
    return {
        f'{name}/{metric}': reason
        for part in record.sources.values()
        for name, result in part.protocols.items()
        for metric, reason in result.notes.items()
    }


def files_of(record: Record) -> list[str]:
    """Names of the files beside the record."""
    results = [result for part in record.sources.values() for result in part.protocols.values()]
    return [file for result in results for file in (result.scores, *result.files.values()) if file]


def main() -> None:
    args = parser().parse_args()
    args.checkpoint = checkpoint(args.checkpoint)
    args.device = cli.device(args.device)
    facts = {'config': args.config, 'cfg_options': {key: str(value) for key, value in args.cfg_options.items()}}
    cfg = read_config(args.config, args.cfg_options)
    if args.dataset:
        cfg = retarget(cfg, args.dataset)
        cfg.merge_from_dict(args.cfg_options)  # overrides of the data set belong to the target
        facts |= {'dataset': args.dataset, 'pretrained': args.checkpoint and pretrained_facts(args.checkpoint)}
    if args.launcher != 'none':
        connect(args.launcher)
    evaluation = Evaluation(
        resolve_config(cfg),
        args.checkpoint,
        listed(args.protocol),
        listed(args.source),
        args.seed,
        args.baselines,
        args.device,
        listed(args.readout),
    )
    beside = Path(args.checkpoint).parent if args.checkpoint else default_work_dir(args.config)
    readouts = [readout for readout in evaluation.readouts if readout != MEAN]
    stem = '_'.join(['test', Path(args.checkpoint or UNTRAINED).stem, *readouts, evaluation.id[:8]])
    out = Path(args.out or Path(args.work_dir or beside) / f'{stem}.json')
    record = evaluation.run(out, {**facts, **args.facts})
    if not is_main_process():
        return
    sources = ', '.join(record.sources)
    print(f'{args.config}, {record.streams} stream, {record.data} {record.split}, {sources} features')
    if record.pretrained:
        print(transfer_text(record.pretrained, evaluation.cfg))
    tables = by_readout(rows_of(record))
    print('\n\n'.join(table for readout, rows in tables.items() for table in protocol_tables(rows, readout)))
    if copies := record.clips['copies']:
        print(f'\n{copies} of {record.clips["test"]} test clips equal a training clip; rows "without copies" omit them')
    trainings = [name for name, settings in evaluation.used.items() if trains(settings)]
    files = [out.parent / name for name in [*trainings, *files_of(record), out.name]]
    print('\n'.join(['', NOTE, *blanks(notes_of(record)), *(f'wrote {file}' for file in files)]))


if __name__ == '__main__':
    cli.run(main)
