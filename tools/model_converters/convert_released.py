"""Convert a released checkpoint: python tools/model_converters/convert_released.py CHECKPOINT --out FILE.pth

Reads checkpoints of SkeAttnCLR, CrosSCLR (and its SkeletonCLR), AimCLR, HiCLR, SkeleMixCLR, MAMP and STARS, for any
width: pre-trained models, and the encoder with classifier of the linear evaluation and the fine-tuning. Nothing in the
file is executed. Prints the result for the tensors, the configs that the weights fit, and the settings that they
determine.
"""

import argparse

from skeattn import cli
from skeattn.choices import RELEASED_TYPES, STREAMS


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('checkpoint', metavar='CHECKPOINT')
    top.add_argument('--out', required=True, metavar='FILE.pth')
    top.add_argument('--method', choices=RELEASED_TYPES, help='needed if the names fit several methods')
    top.add_argument('--stream', choices=STREAMS, help='of the training; it is not in the file')
    top.add_argument('--config', metavar='CONFIG', help='write nothing unless the weights fit this config')
    top.add_argument('--ignore-unknown', action='store_true', help='omit names that no release has')
    top.add_argument('--verbose', action='store_true', help='list every name')
    return top


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from tabulate import tabulate
from torch import nn

from skeattn.apis import read_checkpoint
from skeattn.checkpoint import load_weights, shorten, write_checkpoint
from skeattn.engine.config import read_config, resolve_config
from skeattn.errors import CheckpointError
from skeattn.files import sha256
from skeattn.graph import adjacency
from skeattn.models import STGCN
from skeattn.models.released_weights import (
    LAYOUT,
    MODEL_TYPES,
    Conversion,
    convert_released,
    methods_of,
    released_config,
    streams_of,
)
from skeattn.registry import MODELS

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'


@dataclass
class Import:
    """A released checkpoint under our names.

    Attributes:
        source: the file.
        method: key of ``MODEL_TYPES``.
        stream: of the training; None if unknown.
        conversion: the tensors, renamed and ignored ones listed.
        config: settings that shapes and names determine.
        missing: our names that the file lacks.
    """

    source: Path
    method: str
    stream: str | list[str] | None
    conversion: Conversion
    config: dict[str, Any]
    missing: list[str]


def import_released(
    source: Path, method: str | None = None, stream: str | None = None, ignore_unknown: bool = False
) -> Import:
    """Read and convert a released checkpoint, and compare it with the model that it describes.

    Raises:
        CheckpointError: it is damaged or incomplete; it is of no release, or of several without ``method``; it has
            names that no release has; it does not hold ``stream``.
    """
    state = read_checkpoint(source)['state_dict']
    with naming(source):
        method = choose_method(list(state), method)
        several = choose_stream(streams_of(state), method, stream)
        conversion = convert_released(state, method, several or 'joint')
        config = released_config(conversion, method)
        network = build(config)
        own = network.state_dict()
        unknown = [name for name, new in conversion.renamed.items() if new not in own]
        if unknown and not ignore_unknown:
            raise CheckpointError(
                f'it has {len(unknown)} names that the released {MODEL_TYPES[method]} does not have '
                f'({shorten(unknown)}); omit them with --ignore-unknown'
            )
    for name in unknown:
        del conversion.state[conversion.renamed.pop(name)]
        conversion.ignored[name] = 'unknown'
    missing = load_weights(network, conversion.state, source).missing
    if stream:
        config['stream'] = stream
    return Import(source, method, config.get('stream'), conversion, config, missing)


@contextmanager
def naming(source: Path) -> Iterator[None]:
    """Put the file's name before an error."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f'{source}: {error}') from error


def choose_method(names: list[str], method: str | None) -> str:
    """The release, determined by the names or, if these fit several, by the user."""
    methods = methods_of(names)
    if not methods:
        ours = any(re.search(r'backbone\.blocks\.\d', name) for name in names)
        hint = (
            'use it unconverted, it is of this toolbox'
            if ours
            else 'give a checkpoint of a release with ST-GCN, of MAMP or of STARS'
        )
        raise CheckpointError(f'its names are those of no release ({shorten(names)}); {hint}')
    if method and method not in methods:
        raise CheckpointError(
            f'its names are not those of --method {method}; choose --method {" or ".join(methods)}, or omit it'
        )
    if not method and len(methods) > 1:
        raise CheckpointError(
            f'its names are those of both {" and ".join(methods)}; choose --method {" or ".join(methods)}'
        )
    return method or methods[0]


def choose_stream(streams: list[str], method: str, stream: str | None) -> str | None:
    """The stream to import from several: one for a classifier, all (None) for CrosSCLR."""
    if len(streams) > 1 and method != 'recognizer' and stream:
        raise CheckpointError(f'it holds {", ".join(streams)} together, not only --stream {stream}; omit --stream')
    if len(streams) > 1 and method == 'recognizer' and stream not in streams:
        raise CheckpointError(f'it holds a classifier for each of {", ".join(streams)}; choose one with --stream')
    return stream if len(streams) > 1 else None


def build(config: Mapping[str, Any]) -> nn.Module:
    """The network that the shapes describe; settings without influence on the shapes are neutral."""
    model = {'data_preprocessor': {'type': 'SkeletonPreprocessor'}, **config['model']}
    if model['type'] == 'STARS':
        model = {'queue': {'size': 1}, **model}
    elif model['type'] not in ('Recognizer', 'MAMP'):
        model = {'queue': {'size': 1}, 'loss': {'type': 'InfoNCE'}, **model}
    if model['type'] == 'SkeAttnCLR':
        model['mhsam'] = {'type': 'MHSAM', 'num_heads': 1}
    return MODELS.build(resolve_config(Config({'num_classes': 1, **config, 'model': model})).model)


def misfit(cfg: Config, done: Import) -> str | None:
    """Reason why the weights do not fit a config; None if they do."""
    model = done.config['model']
    if cfg.model.type != model['type']:
        return f'its model is {cfg.model.type}, not {model["type"]}'
    if done.stream and done.stream != cfg.stream:
        return f'its stream is {cfg.stream!r}, not {done.stream!r}'
    network = MODELS.build(resolve_config(cfg).model)
    try:
        load_weights(network, done.conversion.state, done.source, min_match=0.5 if done.missing else 1)
    except CheckpointError as error:
        return str(error)
    if 'graph' not in model['backbone']:
        return None
    A = torch.as_tensor(adjacency(LAYOUT, model['backbone']['graph']))
    graphs = [module.A.double() for module in network.modules() if isinstance(module, STGCN)]
    same = all(torch.allclose(graph, A, atol=1e-5) for graph in graphs)
    return None if same else f'its graph is not {model["backbone"]["graph"]!r}'


def fitting_configs(done: Import) -> list[str]:
    """The configs of released settings that the weights fit, if necessary with a different stream.

    They have ``released`` in their names, unless all of a method are of this kind.
    """
    folder = 'supervised' if done.method == 'recognizer' else done.method
    unchanged, with_stream = [], []
    misfits: dict[str, str | None] = {}  # most configs of a folder have the same model
    paths = (CONFIGS / folder).glob('*.py')
    for path in sorted((CONFIGS / folder).glob('*released*.py')) or sorted(paths):
        cfg, fits = read_config(path), unchanged
        if done.stream and cfg.stream != done.stream:
            cfg.stream, fits = done.stream, with_stream
        model = repr(cfg.model)
        if model not in misfits:
            misfits[model] = misfit(cfg, done)
        if misfits[model] is None:
            fits.append(str(path.relative_to(CONFIGS.parent)))
    return unchanged or [f'{path} with stream={done.stream!r}' for path in with_stream]


def report(done: Import, fits: str, verbose: bool) -> str:
    """The result for the tensors, and the use of the weights."""
    renamed, ignored = done.conversion.renamed, done.conversion.ignored
    new_names = sum(old != new for old, new in renamed.items())
    logits = ', logits' if 'num_classes' in done.config else ''
    rows = [
        ('read as', MODEL_TYPES[done.method]),
        ('loaded', f'{len(renamed)} of {len(renamed) + len(ignored)} tensors, {new_names} of them renamed'),
        ('ignored', f'{len(ignored)} ({", ".join(sorted(set(ignored.values())))})'),
        ('missing', f'{len(done.missing)} ({shorten(done.missing)}), left at random' if done.missing else 'nothing'),
        ('stream', done.stream or 'unknown; with --stream, configs of other streams refuse the file'),
        ('use for', f'features{logits} (tools/test.py), and as start of a training (load_from)'),
        ('fits', fits or 'no config unchanged; change one by the lines below'),
    ]
    names = [f'loaded   {old} -> {new}' if old != new else f'loaded   {old}' for old, new in renamed.items()]
    names += [f'ignored  {name}: {why}' for name, why in ignored.items()]
    names += [f'missing  {name}' for name in done.missing]
    return '\n'.join([*(names if verbose else []), tabulate(rows, tablefmt='plain'), '', snippet(done.config)])


def snippet(config: Mapping[str, Any]) -> str:
    """Lines for a config file."""

    def text(value: Any) -> str:
        if not isinstance(value, Mapping):
            return repr(value)
        return f'dict({", ".join(f"{key}={text(item)}" for key, item in value.items())})'

    model = [f'    {key}={text(value)},' for key, value in config['model'].items()]
    top = [f'{key} = {text(value)}' for key, value in config.items() if key != 'model']
    return '\n'.join([*top, 'model = dict(', *model, ')'])


def main() -> None:
    args = parser().parse_args()
    source, out = Path(args.checkpoint), Path(args.out)
    if out.resolve() == source.resolve():
        raise CheckpointError(f'--out {out} is the released checkpoint itself; choose a different file')
    done = import_released(source, args.method, args.stream, args.ignore_unknown)
    reason = misfit(read_config(args.config), done) if args.config else None
    if reason:
        raise CheckpointError(f'{source} does not fit {args.config}: {reason}; set\n{snippet(done.config)}')
    meta = {'method': done.method, 'source': source.name, 'source_sha256': sha256(source)}
    meta |= {'stream': done.stream, 'layout': LAYOUT}
    out.parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint(out, {'meta': meta, 'state_dict': done.conversion.state})
    print(report(done, args.config or shorten(fitting_configs(done)), args.verbose))
    print(f'\nwrote {out}')


if __name__ == '__main__':
    cli.run(main)
