"""Export a packed set to a format of other toolboxes, or a trained network as one graph (ONNX, torch.export).

A network is compared with the original before its file is written. Its metadata say how clips are prepared, which
layout, channels and classes it has, and what it returns.
"""

import argparse
from pathlib import Path
from typing import Any

from skeattn import cli
from skeattn.choices import NETWORK_FORMATS, READOUTS, SET_FORMATS

PROBE = 'probe'


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = cli.command_parser(
        __doc__,
        'skeattn export pyskl data/nwucla --out nwucla.pkl',
        'skeattn export onnx work_dirs/skeattnclr/stgcn_demo --readout joints --out encoder.onnx',
    )
    top.add_argument(
        'format',
        choices=[*SET_FORMATS, *NETWORK_FORMATS],
        help=f'of a set: {", ".join(SET_FORMATS)}; of a network: the others',
    )
    top.add_argument('path', metavar='PATH', help='folder of a packed set; a checkpoint or a work_dir')
    top.add_argument('--out', required=True, type=Path, help='file to write')
    top.add_argument('--classes', type=Path, help='also write the class names of a set to this file, one per line')
    text = 'of a network: backbone (the default), projector, logits, or probe: probabilities of a published probe'
    top.add_argument('--source', metavar='SOURCE', help=text)
    cli.add_renamed(top, '--features', '--source')
    top.add_argument('--few-shot', metavar='FILE', help='of a network: a classifier saved by skeattn predict --save')
    top.add_argument('--readout', choices=READOUTS, help="of a network's backbone (mean)")
    top.add_argument('--layout', metavar='NAME', help='of the clips, for a network that knows joints by name')
    text = 'of a network: a second input that says which joints are missing'
    top.add_argument('--missing', action='store_true', help=text)
    top.add_argument('--overwrite', action='store_true', help='replace files that exist')
    cli.add_imports(top)
    return top


def main(args: argparse.Namespace) -> None:
    """Write the files."""
    for path in filter(None, (args.out, args.classes)):
        cli.check_new(path, args.overwrite)
    (_export_set if args.format in SET_FORMATS else _export_network)(args)


def _export_set(args: argparse.Namespace) -> None:
    from skeattn.datasets import PackedSet
    from skeattn.datasets.converters import pyskl
    from skeattn.errors import ConfigError
    from skeattn.files import write_text

    if args.source or args.readout or args.layout or args.few_shot or args.missing:
        belong = '--source, --readout, --layout, --few-shot and --missing belong to networks'
        raise ConfigError(f'{belong}: {", ".join(NETWORK_FORMATS)}')
    packed = PackedSet.open(args.path)
    packed.verify()
    pyskl.export(packed, args.out)
    if args.classes:
        write_text(args.classes, '\n'.join([*packed.classes, '']))
    print(f'wrote {args.out}: {len(packed)} clips, channels {", ".join(packed.channels)}')


def _export_network(args: argparse.Namespace) -> None:
    from skeattn.apis import load_encoder
    from skeattn.deployment import DeployedNetwork, export_network
    from skeattn.errors import ConfigError

    if args.classes:
        raise ConfigError('--classes belongs to packed sets; the class names of a network are in its metadata')
    encoder = load_encoder(args.path, device='cpu', layout=args.layout)
    source, head = args.source or 'backbone', None
    if args.few_shot or args.source == PROBE:
        if args.readout or (args.few_shot and args.source):
            raise ConfigError('a classifier has its own features; omit --source and --readout')
        source, head = _classifier(encoder, args.few_shot)
    network = DeployedNetwork(encoder.model, source, args.readout, args.layout, head, args.missing)
    exported = export_network(network, args.out, args.format)
    axes = ', '.join(map(str, exported.facts['input']))
    marks = ' with the marks of missing joints' if args.missing else ''
    print(f'wrote {args.out}: clips ({axes}){marks} to {network.output} from {network.source}')
    print(f'largest difference from the network: {exported.difference:.1e} of its largest output')


def _classifier(encoder: Any, file: str | None) -> tuple[str, Any]:
    """Source of the features and the head of a classifier: that of a file, or the published one."""
    from skeattn.deployment import FewShotHead, ProbeHead
    from skeattn.errors import ConfigError

    if file is not None:
        few = encoder.load_few_shot(file)
        return few.origin.source, FewShotHead(few.probe, few.classes)
    if encoder.probe is None:
        raise ConfigError(f'{encoder.checkpoint} has no probe; publish the encoder with one, or give --few-shot FILE')
    return encoder.probe.source, ProbeHead.of(encoder.probe)
