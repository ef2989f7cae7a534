"""Publish a trained encoder: one safetensors file, which nothing can run from, and a model card.

The file has the weights that features and fine-tuning need, config, layout, class names, the numbers of the records,
and the probe that was trained for them. Its name ends with the beginning of its sha256. The numbers are evaluated again
before they are written. CHECKPOINT is a file or a work_dir, with a record of skeattn test beside it or in --record.
"""

import argparse
from pathlib import Path

from skeattn import cli


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = cli.command_parser(
        __doc__,
        'skeattn publish work_dirs/skeattnclr/stgcn_demo --out zoo',
        'skeattn publish epoch_300.pth --record result.json --name skeattnclr_ntu60 --data data/ntu60 --out zoo',
    )
    top.add_argument('checkpoint', metavar='CHECKPOINT', help='a file or a work_dir')
    top.add_argument('--out', type=Path, default=Path('zoo'), metavar='ZOO', help='folder of published encoders (zoo)')
    top.add_argument('--record', nargs='+', type=Path, metavar='FILE', help='its records (those beside it)')
    top.add_argument('--name', help='of the published encoder (that of the config of its records)')
    top.add_argument('--data', metavar='SET', help='packed set of the numbers (that of the config)')
    top.add_argument('--licence', metavar='NAME', help='of the weights, for the card, such as apache-2.0 (not stated)')
    text = 'trust the records: nothing is evaluated, and no probe is stored'
    top.add_argument('--trust-records', action='store_true', help=text)
    top.add_argument('--device', help='such as cpu or cuda:1 (the accelerator, if there is one)')
    top.add_argument('--overwrite', action='store_true', help='replace a published encoder of this name')
    cli.add_imports(top)
    return top


def main(args: argparse.Namespace) -> None:
    """Write the folder."""
    from skeattn.zoo import publish

    done = publish(
        args.checkpoint,
        args.out,
        args.record,
        args.name,
        args.data,
        cli.device(args.device),
        not args.trust_records,
        args.licence,
        args.overwrite,
    )
    size, whole = (f'{value / 1e6:.1f} MB' for value in (done.size, done.checkpoint_size))
    print(f'wrote {done.file}: {size} of the {whole} of the checkpoint, and {done.file.parent / "README.md"}')
    probe = done.facts.get('probe')
    print(f'probe: {probe["protocol"]} on {probe["source"]}' if probe else 'no probe')
