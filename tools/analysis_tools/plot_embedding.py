"""Draw a map of a checkpoint's features, coloured by class, subject or camera.

    python tools/analysis_tools/plot_embedding.py CONFIG CHECKPOINT [--method umap] [--colour subject]

On a t-SNE or UMAP map only neighbourhoods have a meaning, not the sizes of groups and the distances between them.
"""

import argparse

from skeattn import cli
from skeattn.choices import MAP_METHODS, READOUTS

COLOURS = {'label': 'class', 'subject': 'subject', 'camera': 'camera'}
"""Column of the packed set -> heading of the legend."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('config', metavar='CONFIG')
    top.add_argument('checkpoint', metavar='CHECKPOINT', help='a file, a work_dir, or untrained')
    top.add_argument('--method', choices=MAP_METHODS, default='tsne', help='umap needs umap-learn (tsne)')
    top.add_argument('--split', choices=['train', 'test'], default='test')
    top.add_argument('--source', help='features: backbone, projector … (those of the config)')
    top.add_argument('--readout', choices=READOUTS, help='how a map becomes a vector (that of the config, or mean)')
    top.add_argument('--colour', choices=COLOURS, default='label', help='(label)')
    top.add_argument('--limit', type=int, default=2000, help='maximum number of evenly spaced clips on the map (2000)')
    top.add_argument('--seed', type=int, default=0, help='of the map (0)')
    top.add_argument('--device')
    top.add_argument('--out', metavar='FILE', help='picture (embedding_<method>_<colour>.png beside the checkpoint)')
    top.add_argument('--cfg-options', nargs='+', action=cli.KeyValue, default={}, metavar='KEY=VALUE')
    return top


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

import dataclasses
from pathlib import Path

import numpy as np
import torch

from skeattn.apis import load_model
from skeattn.datasets import PackedSet, open_sets
from skeattn.datasets.splits import of_part
from skeattn.engine.build import newest
from skeattn.engine.config import evaluates_in_autocast, read_config, resolve_config
from skeattn.errors import ConfigError, DataError
from skeattn.evaluation import Features, extract_features
from skeattn.evaluation.embedding_map import check_method
from skeattn.models.readout import MEAN, split_source, with_readout
from skeattn.registry import DATASETS
from skeattn.visualization.embedding import draw_embedding


def coloured(features: Features, packed: PackedSet, column: str) -> tuple[Features, list[str]]:
    """The features with the group of each clip in a column as label, and the names of the groups.

    Raises:
        DataError: the column is unknown for some clips.
    """
    if column == 'label':
        return features, packed.classes
    index = {str(name): i for i, name in enumerate(packed.table['name'])}
    values = packed.table[column][[index[name] for name in features.names]]
    if (values < 0).any():
        raise DataError(f'{packed.path}: the {column} of some clips is unknown; choose a different --colour')
    groups, labels = np.unique(values, return_inverse=True)
    return dataclasses.replace(features, labels=torch.from_numpy(labels)), [f'{column} {group}' for group in groups]


def main() -> None:
    args = parser().parse_args()
    args.device = cli.device_or_best(args.device)
    check_method(args.method)
    if args.limit < 4:
        raise ConfigError(f'--limit {args.limit} is too small; give at least 4')
    file = None if args.checkpoint == 'untrained' else newest(args.checkpoint)
    beside = file.parent if file else Path('work_dirs')
    cfg = resolve_config(read_config(args.config, args.cfg_options))
    evaluation = cfg.get('evaluation') or {}
    source = with_readout(
        args.source or evaluation.get('source', 'backbone'), args.readout or evaluation.get('readout')
    )
    kind, readout = split_source(source)
    words = ['embedding', args.method, args.colour, *([readout] if readout != MEAN else [])]
    out = cli.output(args.out, beside / f'{"_".join(words)}.png')
    model = load_model(cfg, file).to(args.device)
    clips = DATASETS.build(of_part(cfg.dataset, args.split))
    features = extract_features(
        model, clips, evaluation.get('batch_size', 256), source, autocast=evaluates_in_autocast(cfg)
    )
    features, names = coloured(features, open_sets(cfg.dataset.data), args.colour)
    read = '' if readout == MEAN else f', readout {readout}'
    title = f'{cfg.model.type}, {kind} features{read}, {args.split} clips'
    draw_embedding({args.method: features}, names, out, title, args.seed, args.limit, args.method, COLOURS[args.colour])
    print(f'wrote {out}: {min(args.limit, len(features))} of {len(features)} {args.split} clips')


if __name__ == '__main__':
    cli.run(main)
