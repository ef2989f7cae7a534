"""Classes of clips, with probabilities.

The checkpoint is supervised or fine-tuned; or its encoder is frozen, and a classifier is fitted to labelled examples, a
few of each class. Such a classifier has calibrated probabilities and rejects what it does not know ('unknown').
"""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from skeattn import cli

if TYPE_CHECKING:
    from skeattn.apis import Predictions, TrainedEncoder


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = cli.command_parser(
        __doc__,
        'skeattn predict work_dirs/supervised/stgcn_demo data/demo --top 3',
        'skeattn predict work_dirs/skeattnclr/stgcn_demo poses/ --examples data/mine --save mine.npz',
    )
    cli.add_clips(top)
    learnt = top.add_mutually_exclusive_group()
    learnt.add_argument('--examples', metavar='SET', help='packed set whose labelled clips a classifier is fitted to')
    learnt.add_argument('--few-shot', metavar='FILE', type=Path, help='classifier that --save has written')
    top.add_argument('--save', metavar='FILE.npz', type=Path, help='write the classifier of --examples')
    top.add_argument('--accept', type=float, help='share of clips of known classes to accept, with --examples (0.9)')
    top.add_argument('--top', type=int, default=1, metavar='K', help='classes to print of each clip (1)')
    top.add_argument('--json', action='store_true', help='print JSON')
    return top


def main(args: argparse.Namespace) -> None:
    """Print a line for each clip."""
    from skeattn.apis import load_encoder
    from skeattn.errors import ConfigError

    if args.top < 1:
        raise ConfigError(f'--top {args.top} must be 1 or more')
    for option in ('save', 'accept'):
        if getattr(args, option) is not None and args.examples is None:
            raise ConfigError(f'--{option} belongs to a classifier that is fitted: give --examples SET')
    if args.save is not None:
        cli.check_new(args.save, cure=f'or use it: --few-shot {args.save}')
    cli.log_to_stderr()
    predictions = _predict(load_encoder(args.checkpoint, args.device, layout=args.layout), args)
    rows = zip(predictions.clips, predictions.names, predictions.top(args.top), strict=True)
    if args.json:
        print(json.dumps([{'clip': clip, 'name': name, 'top': dict(best)} for clip, name, best in rows], indent=1))
    else:
        for clip, name, best in rows:
            print(f'{clip}: {name}; ' + ', '.join(f'{likely} {100 * p:.1f} %' for likely, p in best))


def _predict(encoder: 'TrainedEncoder', args: argparse.Namespace) -> 'Predictions':
    clips = cli.clips_of(args)
    if args.few_shot is not None:
        return encoder.load_few_shot(args.few_shot).predict(**clips)
    if args.examples is None:
        return encoder.classify(**clips)
    accept = {} if args.accept is None else {'accept': args.accept}
    classifier = encoder.fit_few_shot(args.examples, **accept)
    if args.save is not None:
        classifier.save(args.save)
        facts: dict[str, Any] = classifier.facts
        shown = f'{len(classifier.classes)} classes, {facts["heldout_top1"]:.1f} % of held-out examples correct'
        print(f'wrote {args.save}: {shown}', file=sys.stderr)
    return classifier.predict(**clips)
