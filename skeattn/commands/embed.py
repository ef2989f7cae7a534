"""Features of clips by a trained encoder.

CLIPS are packed sets, files or folders of clips, such as .skeleton files, arrays, tables or JSON of pose estimators.
An .npz file has the features x (N, D), with names, labels and subjects, and is a bank for skeattn retrieve; an .npy
file has the features alone.
"""

import argparse
from pathlib import Path

from skeattn import cli
from skeattn.choices import READOUTS


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = cli.command_parser(
        __doc__,
        'skeattn embed work_dirs/skeattnclr/stgcn_demo data/demo --out demo.npz',
        'skeattn embed epoch_28.pth kitchen.skeleton poses/ --readout joints --out mine.npy',
    )
    cli.add_clips(top)
    top.add_argument('--out', required=True, type=Path, help='.npz or .npy file to write')
    top.add_argument('--readout', choices=READOUTS, help='of the backbone (mean)')
    top.add_argument('--source', default='backbone', help='backbone (the default), projector, predictor or logits')
    top.add_argument('--overwrite', action='store_true', help='replace a file that exists')
    return top


def main(args: argparse.Namespace) -> None:
    """Write the features."""
    import numpy as np

    from skeattn.apis import load_encoder
    from skeattn.errors import ConfigError
    from skeattn.files import write_atomic

    if args.out.suffix not in ('.npz', '.npy'):
        raise ConfigError(f'--out {args.out} should end with .npz or .npy')
    cli.check_new(args.out, args.overwrite)
    cli.log_to_stderr()
    encoder = load_encoder(args.checkpoint, args.device, layout=args.layout)
    bank = encoder.bank(readout=args.readout, source=args.source, **cli.clips_of(args))
    if args.out.suffix == '.npz':
        bank.save(args.out)
    else:
        write_atomic(args.out, lambda file: np.save(file, bank.features.x.numpy()))
    N, D = bank.features.x.shape
    print(f'wrote {args.out}: {N} clips, {D} features of {bank.origin.source}')
