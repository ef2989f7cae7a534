"""Publish an encoder: weights that others can load, with its facts, its records and a model card.

The folder ZOO/NAME holds one safetensors file without the state of the training, the records of evaluations of this
checkpoint, and a README.md. ZOO then has an index of all its encoders: model-index.yml and encoders.md.
'skeattn verify ZOO/NAME' checks all of it.
"""

import argparse

from skeattn import cli
from skeattn.errors import ConfigError
from skeattn.fetch import zoo


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = cli.command_parser(
        __doc__,
        'skeattn publish work_dirs/skeattnclr/stgcn_demo --out zoo --name skeattnclr_demo',
        'skeattn publish --index --out zoo',
    )
    top.add_argument('checkpoint', nargs='?', metavar='CHECKPOINT', help='a .pth file, or the work_dir of a training')
    text = 'folder of published encoders ($SKEATTN_ZOO, or zoo)'
    top.add_argument('--out', metavar='ZOO', default=None, help=text)
    top.add_argument('--name', help='of the encoder (its method and the name of the work_dir)')
    text = 'records of evaluations of this checkpoint (those beside it)'
    top.add_argument('--records', nargs='*', metavar='RECORD.json', help=text)
    top.add_argument('--classifier', metavar='FILE.npz', help='written by skeattn predict --save')
    top.add_argument('--overwrite', action='store_true', help='replace a published encoder of this name')
    top.add_argument('--index', action='store_true', help='only write the index of ZOO again')
    return top


def main(args: argparse.Namespace) -> None:
    """Publish, and write the index."""
    if args.index == (args.checkpoint is not None):
        raise ConfigError('give either CHECKPOINT, or --index to write only the index')
    from skeattn.zoo.card import index
    from skeattn.zoo.publish import publish

    out = args.out or zoo()
    if args.checkpoint is not None:
        folder = publish(args.checkpoint, out, args.name, args.records, args.classifier, args.overwrite)
        print(f'published {folder}; skeattn verify {folder} checks it')
    for file in index(out):
        print(f'wrote {file}')
