"""Parameters, multiply-accumulates and activation memory of configs, for the encoder and a training step.

The values are counted, not timed, on random clips after the config's pipeline, so no data set is needed.
"""

import argparse

from skeattn import cli


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = cli.command_parser(
        __doc__,
        'skeattn flops skeattnclr/stgcn_ntu60_xsub --depth 3',
        'skeattn flops skeattnclr/stgcn_demo aimclr/stgcn_demo hiclr/stgcn_demo',
    )
    cli.add_config(top, 'configs', nargs='+', help='several: a Markdown table')
    top.add_argument('--batch', type=int, default=4, help='clips for the count (4)')
    top.add_argument('--persons', type=int, help='in each clip (as many as the pipeline keeps)')
    top.add_argument('--source', default='backbone', help='features of the encoder (backbone)')
    top.add_argument('--depth', type=int, default=2, help='levels of modules, for a single config (2)')
    top.add_argument('--cfg-options', nargs='+', action=cli.KeyValue, default={}, metavar='KEY=VALUE')
    return top


def main(args: argparse.Namespace) -> None:
    """Count and print."""
    from skeattn.datasets import Pipeline
    from skeattn.engine.build import load_model
    from skeattn.engine.config import read_config, resolve_config
    from skeattn.errors import ConfigError
    from skeattn.experiments.costs import NOTE, costs, markdown, random_clips, shape_of, summary, tree

    for option, least in (('batch', 2), ('persons', 1), ('depth', 0)):
        if getattr(args, option) is not None and getattr(args, option) < least:
            raise ConfigError(f'--{option} {getattr(args, option)} is too small; give at least {least}')
    costs_of = {}
    for path in args.configs:
        cfg = resolve_config(read_config(path, args.cfg_options))
        if 'dataset' not in cfg or 'layout' not in cfg:
            raise ConfigError(f'{path} has no dataset and layout; give a config for training')
        *_, pack = Pipeline(cfg.dataset.pipeline).steps.values()
        persons = args.persons or pack.num_persons
        clips = random_clips(cfg, args.batch, persons)
        costs_of[path] = {'shape': tuple(clips['inputs'].shape[1:]), **costs(cfg, clips, args.source)}
    if len(costs_of) > 1:
        print(f'{markdown(costs_of, args.batch)}\n')
    else:
        print(f'{cfg.model.type}, clips {shape_of(costs_of[path])}, {min(persons, pack.num_persons)} persons present\n')
        print(tree(load_model(cfg), clips, args.source, args.depth))
        print(f'\n{summary(costs_of[path], args.batch)}\n')
    print(NOTE)
