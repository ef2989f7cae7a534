"""The clips of a bank that are most similar to clips, by cosine similarity of their features.

The bank is a packed set, a file or a folder of clips, or the .npz file of skeattn embed, which spares encoding again.
"""

import argparse
import json
from pathlib import Path

from skeattn import cli
from skeattn.choices import READOUTS

NEIGHBOURS = 5


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = cli.command_parser(
        __doc__,
        'skeattn retrieve work_dirs/skeattnclr/stgcn_demo kitchen.skeleton --bank data/demo',
        'skeattn retrieve work_dirs/skeattnclr/stgcn_demo poses/ --bank demo.npz -k 10 --json',
    )
    cli.add_clips(top)
    top.add_argument('--bank', required=True, help='clips, or the .npz file of skeattn embed')
    top.add_argument('-k', type=int, help='clips to print for each (5, or all of a smaller bank)')
    top.add_argument('--readout', choices=READOUTS, help='of the backbone, for a bank of clips (mean)')
    top.add_argument('--json', action='store_true', help='print JSON')
    return top


def main(args: argparse.Namespace) -> None:
    """Print the nearest clips."""
    from skeattn.apis import Bank, load_encoder
    from skeattn.errors import ConfigError

    cli.log_to_stderr()
    encoder = load_encoder(args.checkpoint, args.device, layout=args.layout)
    stored = Path(args.bank).suffix == '.npz'
    if stored and args.readout:
        raise ConfigError(f'--readout is for a bank of clips; {args.bank} holds features')
    bank = Bank.load(args.bank) if stored else encoder.bank(args.bank, readout=args.readout, channels=args.channels)
    bank.origin.require(encoder.identity, encoder.checkpoint, f'the bank {args.bank}')
    queries = encoder.features(source=bank.origin.source, **cli.clips_of(args))
    k = min(NEIGHBOURS, len(bank)) if args.k is None else args.k
    rows = list(zip(queries.names, bank.nearest(queries.x, k), strict=True))
    if args.json:
        found = [{'clip': name, 'nearest': [one._asdict() for one in nearest]} for name, nearest in rows]
        print(json.dumps(found, indent=1))
        return
    for name, nearest in rows:
        print(name)
        for one in nearest:
            print(f'  {one.similarity:.4f}  {one.name}  {one.label}')
