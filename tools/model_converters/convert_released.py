"""A released checkpoint to one of ours: python tools/model_converters/convert_released.py CHECKPOINT --out FILE.pth

Reads what the code of SkeAttnCLR, CrosSCLR (and its SkeletonCLR), AimCLR, HiCLR and SkeleMixCLR saves, for any width:
pre-trained models, and the encoder with classifier of the linear evaluation and the fine-tuning. Nothing in the file is
executed. Prints what became of every tensor, which configs the weights fit, and what they say about a config.
"""

import argparse
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

from skeattn import cli
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


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('checkpoint', metavar='CHECKPOINT')
    top.add_argument('--out', required=True, metavar='FILE.pth')
    top.add_argument('--method', choices=MODEL_TYPES, help='told by the names where they differ')
    top.add_argument('--stream', choices=['joint', 'motion', 'bone'], help='what it was trained on; no file says that')
    top.add_argument('--config', metavar='CONFIG', help='write nothing unless the weights fit this one')
    top.add_argument('--ignore-unknown', action='store_true', help='leave out names that no release has')
    top.add_argument('--verbose', action='store_true', help='list every name')
    return top


@dataclass
class Import:
    """A released checkpoint under our names.

    Attributes:
        source: the file.
        method: key of ``MODEL_TYPES``.
        stream: what it was trained on, None where nobody said.
        found: the tensors with their account.
        config: what shapes and names say about a config.
        missing: our names that the file lacks.
    """

    source: Path
    method: str
    stream: str | list[str] | None
    found: Conversion
    config: dict[str, Any]
    missing: list[str]


def import_released(
    source: Path, method: str | None = None, stream: str | None = None, ignore_unknown: bool = False
) -> Import:
    """Read and convert a released checkpoint, and hold it against the model that it describes.

    Raises:
        CheckpointError: damaged; of no release, or of several and no ``method`` says which; incomplete; names that no
            release has; another stream than the file holds.
    """
    state = read_checkpoint(source)['state_dict']
    with naming(source):
        method = choose_method(list(state), method)
        several = choose_stream(streams_of(state), method, stream)
        found = convert_released(state, method, several or 'joint')
        config = released_config(found, method)
        network = build(config)
        wanted = network.state_dict()
        unknown = [name for name, new in found.renamed.items() if new not in wanted]
        if unknown and not ignore_unknown:
            raise CheckpointError(
                f'{len(unknown)} names that the released {MODEL_TYPES[method]} does not have ({shorten(unknown)}); '
                f'leave them out with --ignore-unknown'
            )
    for name in unknown:
        del found.state[found.renamed.pop(name)]
        found.ignored[name] = 'unknown'
    missing = load_weights(network, found.state, source).missing
    if stream:
        config['stream'] = stream
    return Import(source, method, config.get('stream'), found, config, missing)


@contextmanager
def naming(source: Path) -> Iterator[None]:
    """Put the file's name before what is wrong with it."""
    try:
        yield
    except CheckpointError as error:
        raise CheckpointError(f'{source}: {error}') from error


def choose_method(names: list[str], method: str | None) -> str:
    """The release, told by the names or, where they leave a choice, by the user."""
    known = methods_of(names)
    if not known:
        ours = any(re.search(r'backbone\.blocks\.\d', name) for name in names)
        hint = 'it is one of this toolbox already' if ours else 'only the releases with ST-GCN can be imported'
        raise CheckpointError(f'its names are those of no release ({shorten(names)}); {hint}')
    if method and method not in known:
        raise CheckpointError(f'--method {method}, but its names are those of {" or ".join(known)}')
    if not method and len(known) > 1:
        choices = ' or '.join(f'--method {name}' for name in known)
        raise CheckpointError(f'its names are those of {" and ".join(known)} alike; say {choices}')
    return method or known[0]


def choose_stream(streams: list[str], method: str, stream: str | None) -> str | None:
    """Which of several streams to take: of a classifier on several, one; of CrosSCLR, all."""
    if len(streams) > 1 and method != 'recognizer' and stream:
        raise CheckpointError(f'--stream {stream}, but it holds {", ".join(streams)} together; leave --stream away')
    if len(streams) > 1 and method == 'recognizer' and stream not in streams:
        raise CheckpointError(f'it holds a classifier for each of {", ".join(streams)}; say which by --stream')
    return stream if len(streams) > 1 else None


def build(config: Mapping[str, Any]) -> nn.Module:
    """The network that the shapes describe; what leaves no trace in them is neutral."""
    model = {'data_preprocessor': {'type': 'SkeletonPreprocessor'}, **config['model']}
    if model['type'] != 'Recognizer':
        model = {'queue': {'size': 1}, 'loss': {'type': 'InfoNCE'}, **model}
    if model['type'] == 'SkeAttnCLR':
        model['mhsam'] = {'type': 'MHSAM', 'num_heads': 1}
    return MODELS.build(resolve_config(Config({'num_classes': 1, **config, 'model': model})).model)


def misfit(cfg: Config, done: Import) -> str | None:
    """Why the weights cannot be used with a config, or None where they can."""
    wanted = done.config['model']
    if cfg.model.type != wanted['type']:
        return f'its model is {cfg.model.type}, not {wanted["type"]}'
    if done.stream and done.stream != cfg.stream:
        return f'its stream is {cfg.stream!r}, not {done.stream!r}'
    network = MODELS.build(resolve_config(cfg).model)
    try:
        load_weights(network, done.found.state, done.source, min_match=0.5 if done.missing else 1)
    except CheckpointError as error:
        return str(error)
    A = torch.as_tensor(adjacency(LAYOUT, wanted['backbone']['graph']))
    graphs = [module.A.double() for module in network.modules() if isinstance(module, STGCN)]
    same = all(torch.allclose(graph, A, atol=1e-5) for graph in graphs)
    return None if same else f'its graph is not {wanted["backbone"]["graph"]!r}'


def fitting_configs(done: Import) -> list[str]:
    """The toolbox's configs of released settings that the weights fit, perhaps with another stream."""
    folder = 'supervised' if done.method == 'recognizer' else done.method
    as_they_stand, with_stream = [], []
    verdicts: dict[str, str | None] = {}  # most configs of a folder have the same model
    for path in sorted((CONFIGS / folder).glob('*released*.py')):
        cfg, fits = read_config(path), as_they_stand
        if done.stream and cfg.stream != done.stream:
            cfg.stream, fits = done.stream, with_stream
        model = repr(cfg.model)
        if model not in verdicts:
            verdicts[model] = misfit(cfg, done)
        if verdicts[model] is None:
            fits.append(str(path.relative_to(CONFIGS.parent)))
    return as_they_stand or [f'{path} with stream={done.stream!r}' for path in with_stream]


def report(done: Import, fits: str, verbose: bool) -> str:
    """What became of the tensors, and how to go on."""
    renamed, ignored = done.found.renamed, done.found.ignored
    new_names = sum(old != new for old, new in renamed.items())
    logits = ', logits' if 'num_classes' in done.config else ''
    rows = [
        ('read as', MODEL_TYPES[done.method]),
        ('loaded', f'{len(renamed)} of {len(renamed) + len(ignored)} tensors, {new_names} of them renamed'),
        ('ignored', f'{len(ignored)} ({", ".join(sorted(set(ignored.values())))})'),
        ('missing', f'{len(done.missing)} ({shorten(done.missing)}), left at random' if done.missing else 'nothing'),
        ('stream', done.stream or 'unknown; with --stream a config of another one refuses the file'),
        ('good for', f'features{logits} (tools/test.py), and as start of a training (load_from)'),
        ('fits', fits or 'no config as it stands; change one by the lines below'),
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
        raise CheckpointError(f'--out {out} is the released checkpoint itself; name another file')
    done = import_released(source, args.method, args.stream, args.ignore_unknown)
    why = misfit(read_config(args.config), done) if args.config else None
    if why:
        raise CheckpointError(f'{source} does not fit {args.config}: {why}. It wants\n{snippet(done.config)}')
    meta = {'method': done.method, 'source': source.name, 'source_sha256': sha256(source)}
    meta |= {'stream': done.stream, 'layout': LAYOUT}
    out.parent.mkdir(parents=True, exist_ok=True)
    write_checkpoint(out, {'meta': meta, 'state_dict': done.found.state})
    print(report(done, args.config or shorten(fitting_configs(done)), args.verbose))
    print(f'\nwrote {out}')


if __name__ == '__main__':
    cli.run(main)
