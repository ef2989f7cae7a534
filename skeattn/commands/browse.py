"""Play a clip before and after every step of a config's pipeline and of its training views.

The page needs only a browser: space plays and pauses, dragging turns 3-D skeletons. The views are drawn as in training
with --seed in --iteration, for a batch that begins with the clip; the following clips are its partners in operations
that mix clips.
"""

import argparse

from skeattn import cli
from skeattn.choices import STREAMS


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = cli.command_parser(
        __doc__,
        'skeattn browse skeattnclr/stgcn_nwucla_xview --clip 7 --out clip.html',
        'skeattn browse skeattnclr/stgcn_demo --split test --view query --stream joint,bone',
    )
    cli.add_config(top)
    top.add_argument('--clip', default='0', metavar='NAME|INDEX', help='name, or place in the split (0)')
    top.add_argument('--split', choices=['train', 'test'], default='train')
    top.add_argument('--view', nargs='+', metavar='VIEW', help='training views to show (all)')
    top.add_argument('--stream', default='joint', metavar='STREAM,…', help=f'of {", ".join(STREAMS)} (joint)')
    top.add_argument('--out', metavar='FILE', help='.html, .gif or .mp4 (work_dirs/browse/NAME.html)')
    top.add_argument('--fps', type=float, default=30.0, help='frames of the longest panel per second (30)')
    top.add_argument('--frames', type=int, help='pictures of a GIF or MP4 (as many as the longest panel has)')
    top.add_argument('--seed', type=int, default=0, help='of the draws (0)')
    top.add_argument('--iteration', type=int, default=0, help='training iteration of the draws (0)')
    top.add_argument('--cfg-options', nargs='+', action=cli.KeyValue, default={}, metavar='KEY=VALUE')
    return top


def main(args: argparse.Namespace) -> None:
    """Write the page or the picture."""
    from pathlib import Path

    import skeattn.models  # noqa: F401  registers the components of configs
    from skeattn.engine.config import read_config, resolve_config
    from skeattn.visualization import play_clip
    from skeattn.visualization.browse import collect

    cfg = resolve_config(read_config(args.config, args.cfg_options))
    draws = args.seed, args.iteration
    title, packed, panels = collect(cfg, args.clip, args.split, args.view, args.stream.split(','), *draws)
    out = Path(args.out or f'work_dirs/browse/{title.split(":")[0]}.html')
    play_clip(panels, packed.layout, out, title, args.fps, args.frames)
    print(f'wrote {out}: {len(panels)} panels: {" | ".join(panel.step for panel in panels)}')
    for panel in panels:
        if panel.stream == 'joint' and 'missing' in panel.note:
            print(f'{panel.step}: {panel.note}')
