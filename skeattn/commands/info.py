"""Print one page of facts about a file, a folder or a config.

X is a checkpoint, a work_dir, a published encoder, a packed set, a record of an evaluation, a config, or a method, for
a list of its configs. Without X the page is about the toolbox. Nothing is computed: the facts are those of the files.
"""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from skeattn import __version__, cli, toolbox
from skeattn.errors import ConfigError, did_you_mean

Facts = dict[str, Any]
"""Name -> value; None is left out, and the items of a list stand below each other."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = cli.command_parser(__doc__, 'skeattn info skeattnclr/stgcn_demo', 'skeattn info data/demo --json')
    cli.add_config(top, 'x', nargs='?', type=str, metavar='X', help='file, folder, config or method (the toolbox)')
    top.add_argument('--json', action='store_true', help='print the facts as JSON')
    return top


def main(args: argparse.Namespace) -> None:
    """Print the page."""
    facts = {name: value for name, value in facts_of(args.x).items() if value not in (None, [], {}, '')}
    print(json.dumps(facts, indent=1, default=str) if args.json else page(facts))


def facts_of(x: str | None) -> Facts:
    """The facts about whatever ``x`` names.

    Raises:
        ConfigError: it names nothing; suggests similar configs.
        SkeAttnError: the file is damaged.
    """
    from skeattn.datasets.packed import MANIFEST
    from skeattn.published import WEIGHTS, locate

    if x is None:
        return of_toolbox()
    path = locate(x)
    if path.name == MANIFEST or (path / MANIFEST).is_file():
        return of_set(path.parent if path.name == MANIFEST else path)
    if path.is_file() and path.suffix in WEIGHTS:
        return of_checkpoint(path)
    if path.is_file() and path.suffix == '.json':
        return of_record(path)
    if toolbox.locate(x):
        return of_config(x)
    if x in methods():
        names = toolbox.configs(f'{x}/[!_]*.py')
        return {'method': x, 'configs': [toolbox.short_name(name) for name in names]}
    if path.is_dir():
        return of_work_dir(path)
    hint = did_you_mean(x, [*toolbox.config_names(), *methods()], 'skeattn info lists the methods of the toolbox')
    raise ConfigError(f'{x}: no such file, folder, config or method; {hint}')


def methods() -> Counter[str]:
    """Method -> number of its configs."""
    return Counter(name.partition('/')[0] for name in toolbox.config_names())


def of_toolbox() -> Facts:
    """Version and place of the toolbox, its methods and protocols."""
    from skeattn.choices import protocol_names

    return {
        'skeattn': __version__,
        'package': Path(cli.__file__).parent,
        'configs': toolbox.CONFIGS,
        'methods': [f'{name} ({number} configs)' for name, number in methods().items()],
        'protocols': ', '.join(protocol_names()),
        'more': 'skeattn info METHOD lists its configs, skeattn info METHOD/NAME shows one',
    }


def of_config(config: str) -> Facts:
    """A config as it stands in its file and in the files below it."""
    import skeattn.models  # noqa: F401  registers what a config can name
    from skeattn.engine.config import read_config

    cfg = read_config(config).to_dict()
    return {'config': toolbox.config_name(config), 'file': toolbox.find_config(config), **training_facts(cfg)}


def training_facts(cfg: Mapping[str, Any]) -> Facts:
    """The settings of a training, from a config or from the one that a checkpoint stores."""
    from skeattn.checkpoint import length_steps
    from skeattn.steps import in_order

    model, dataset, schedule = (cfg.get(key) or {} for key in ('model', 'dataset', 'train_cfg'))
    steps = in_order(dataset.get('pipeline') or {}, 'dataset.pipeline')
    pipeline = {name: step for name, step in steps.items() if step}
    frames = [pipeline[name].get('num_frames') for name in length_steps(pipeline)]
    evaluators = (cfg.get('evaluation') or {}).get('evaluators') or {}
    optimiser = (cfg.get('optim_wrapper') or {}).get('optimizer') or {}
    return {
        'method': model.get('type'),
        'backbone': (model.get('backbone') or {}).get('type'),
        'stream': joined(cfg.get('stream')),
        'layout': cfg.get('layout') if isinstance(cfg.get('layout'), str) else (cfg.get('layout') or {}).get('name'),
        'channels': joined(cfg.get('channels')),
        'classes': cfg.get('num_classes'),
        'data': joined(dataset.get('data')),
        'split': joined(dataset.get('split')),
        'frames of a clip': frames[-1] if frames else None,
        'pipeline': ' | '.join(pipeline),
        'batch size': cfg.get('batch_size'),
        'epochs': schedule.get('max_epochs'),
        'optimiser': joined([optimiser.get('type'), optimiser.get('lr') and f'lr {optimiser["lr"]:g}']),
        'evaluated by': joined(name for name, item in evaluators.items() if item),
        'starts from': cfg.get('load_from'),
    }


def of_checkpoint(path: Path) -> Facts:
    """What a checkpoint stores about its training, and its number of weights."""
    import torch

    from skeattn.checkpoint import omitted_parts, read_checkpoint, training_config
    from skeattn.files import sha256

    checkpoint = read_checkpoint(path)
    meta, state = checkpoint['meta'], checkpoint['state_dict']
    data = meta['dataset'] if isinstance(meta.get('dataset'), Mapping) else {}
    values = sum(value.numel() for value in state.values() if isinstance(value, torch.Tensor))
    stored = {key: meta.get(key) for key in ('method', 'backbone', 'layout', 'split', 'data')}
    return {
        'checkpoint': path,
        'written': meta.get('time'),
        'epoch': meta.get('epoch'),
        'iteration': meta.get('iter'),
        'seed': meta.get('seed'),
        'processes': meta.get('world_size'),
        **training_facts(training_config(meta)),
        **{key: value for key, value in stored.items() if isinstance(value, str)},
        'names of classes': joined(data.get('classes') or ()),
        'values in the weights': f'{values:,}',
        'left out': joined(part.removesuffix('.') for part in omitted_parts(meta)),
        'numbers': numbers(meta.get('published')),
        'size': f'{path.stat().st_size / 1e6:.1f} MB',
        'versions': versions(meta.get('versions')),
        'sha256': sha256(path),
    }


def numbers(published: Any) -> list[str]:
    """The numbers of a published encoder."""
    results = published.get('results') if isinstance(published, Mapping) else None
    return [
        f'{result.get("source")}: {result.get("protocol")} {joined(f"{key} {value}" for key, value in metrics.items())}'
        for result in results or []
        if isinstance(result, Mapping) and isinstance(metrics := result.get('metrics'), Mapping)
    ]


def of_work_dir(path: Path) -> Facts:
    """The newest checkpoint of a training, and what else lies in its folder."""
    from skeattn.checkpoint import checkpoint_files, find_newest

    newest = find_newest(path)
    logs = sorted(path.glob('*/vis_data'))
    if newest is None and not logs:
        raise ConfigError(f'{path} is neither a packed set nor the work_dir of a training; it holds no checkpoint')
    best = sorted(file.name for file in path.glob('best_*.pth'))
    return {
        'work_dir': path,
        'checkpoints': joined([*(file.name for _, file in sorted(checkpoint_files(path).items())), *best]),
        'config': joined(sorted(file.name for file in path.glob('*.py'))),
        'starts': len(logs),
        'curves': logs[-1] if logs else None,
        'records': [file.name for file in sorted(path.glob('*.json')) if is_record(file)],
        'newest checkpoint': None if newest else 'none yet',
        **(of_checkpoint(newest) if newest else {}),
    }


def is_record(file: Path) -> bool:
    """Whether a JSON file is the record of an evaluation."""
    from skeattn.errors import RecordError
    from skeattn.results.record import read

    try:
        return bool(read(file).sources)
    except RecordError:
        return False


def of_set(path: Path) -> Facts:
    """The content of a packed set, from its manifest and table."""
    import numpy as np

    from skeattn.datasets import PackedSet, split
    from skeattn.errors import DataError

    packed = PackedSet.open(path)
    table = packed.table
    frames, persons = table['frames'], Counter(table['persons'].tolist())
    known = {field for field in ('subject', 'camera', 'setup') if (table[field] >= 0).all()}

    def parts(name: str) -> str:
        try:
            train, test = split(packed, name)
        except DataError as error:
            return f'{name}: {error}'
        return f'{name}: {len(train)} training and {len(test)} test clips'

    return {
        'packed set': path,
        'data set': packed.manifest['dataset'],
        'layout': f'{packed.layout.name}, {packed.layout.num_joints} joints',
        'channels': joined(packed.channels),
        'clips': len(packed),
        'without a label': int((table['label'] < 0).sum()) or None,
        'classes': f'{len(packed.classes)}: {joined(packed.classes)}',
        **{f'{field}s': len(np.unique(table[field])) for field in sorted(known)},
        'persons in a clip': joined(f'{n} clips with {m}' for m, n in sorted(persons.items())),
        'frames': f'{frames.min()} to {frames.max()}, median {np.median(frames):g}' if len(frames) else None,
        'splits': [parts(name) for name in packed.splits],
        'joints can be missing': 'yes' if packed.has_missing else None,
        'skipped clips': len(packed.manifest['skipped']) or None,
        'sha256': packed.digest,
    }


def of_record(path: Path) -> Facts:
    """An evaluation: what was evaluated, how, and the results."""
    from skeattn.results.record import read

    record = read(path)
    results = [
        f'{source}, {part.readout}: {joined(f"{name} {value:.2f}" for name, value in part.metrics.items())}'
        for source, part in record.sources.items()
    ]
    return {
        'record': path,
        'name': record.name,
        'config': record.config,
        'overrides': joined(f'{key}={value}' for key, value in record.cfg_options.items()),
        'method': record.model,
        'stream': record.streams,
        'data': record.data,
        'split': record.split,
        'clips': joined(f'{number} {part}' for part, number in record.clips.items()),
        'seed': record.seed,
        'checkpoint': joined(record.checkpoint) if record.checkpoint else 'none: the network before training',
        'epochs': record.training and record.training.epochs,
        'protocols': joined(record.protocols),
        'results': results,
        'device': record.device,
        'hardware': record.hardware,
        'versions': versions(record.versions),
        'commit': record.commit and record.commit + (', with changes' if record.dirty else ''),
        'finished': record.finished,
    }


def joined(values: Iterable[Any] | str | None) -> str:
    """Values in one line; a single text as it is."""
    if values is None or isinstance(values, str):
        return values or ''
    return ', '.join(str(value) for value in values if value is not None)


def versions(of: Mapping[str, str] | None) -> str:
    """Packages and their versions in one line."""
    return joined(f'{name} {version}' for name, version in (of or {}).items())


def page(facts: Mapping[str, Any]) -> str:
    """The facts as two columns."""
    wide = max(map(len, facts))
    rows = [
        (name if i == 0 else '', str(item))
        for name, value in facts.items()
        for i, item in enumerate(value if isinstance(value, list) else [value])
    ]
    return '\n'.join(f'{name:<{wide}}  {item}' for name, item in rows)
