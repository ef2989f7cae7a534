"""Play a clip before and after every step of a config's pipeline and of its training views.

    python tools/analysis_tools/browse_dataset.py configs/skeattnclr/stgcn_nwucla_xview.py --clip 7 --out clip.html

The page needs only a browser: space plays and pauses, dragging turns 3-D skeletons. The views are drawn as in training
with --seed in --iteration, for a batch that begins with the clip; the following clips are its partners in operations
that mix clips.
"""

import argparse

from skeattn import cli
from skeattn.choices import STREAMS


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument('config', metavar='CONFIG')
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


if __name__ == '__main__':
    cli.check_arguments(parser)  # before the imports below, which take seconds

from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config

import skeattn.models  # noqa: F401  registers the components of configs
from skeattn.datasets import PackedSet, Pipeline, open_sets, split
from skeattn.datasets.materialise import materialise, materialise_native
from skeattn.datasets.native import NativeClips
from skeattn.datasets.packed import class_name
from skeattn.datasets.skeleton_dataset import split_missing, split_missing_native
from skeattn.engine.config import read_config, resolve_config
from skeattn.errors import ConfigError
from skeattn.registry import MODELS
from skeattn.visualization import Panel, in_stream, pipeline_steps, play_clip, view_steps

PARTNERS = 7


def find_clip(packed: PackedSet, indices: list[int], clip: str, part: str) -> int:
    """Place in the split of a clip, given by its name or its place.

    Raises:
        ConfigError: no such clip.
    """
    names = packed.table['name'][indices].tolist()
    if clip in names:
        return names.index(clip)
    if clip.isdecimal() and int(clip) < len(names):
        return int(clip)
    if clip in packed.table['name']:
        raise ConfigError(f'--clip {clip}: not a {part} clip; choose the other --split')
    raise ConfigError(f'--clip {clip}: unknown; give a name in {packed.path} or a place in 0..{len(names) - 1}')


def collect(cfg: Config, args: argparse.Namespace) -> tuple[str, PackedSet, list[Panel]]:
    """(title, set, panels) of the requested clip.

    Raises:
        ConfigError: an unknown clip, view or stream.
    """
    streams = args.stream.split(',')
    views = (cfg.model.data_preprocessor.get('views') or {}) if 'model' in cfg else {}
    shown = args.view or list(views)
    for option, names, available in (('stream', streams, STREAMS), ('view', shown, views)):
        if unknown := [name for name in names if name not in available]:
            raise ConfigError(f'--{option} {unknown[0]}: unknown; choose from {", ".join(available) or "none"}')
    packed = open_sets(cfg.dataset.data)
    indices = split(packed, cfg.dataset.split)[args.split == 'test'].tolist()
    place = find_clip(packed, indices, args.clip, args.split)
    i, pipeline = indices[place], Pipeline(cfg.dataset.pipeline)
    name, label = str(packed.table['name'][i]), int(packed.table['label'][i])
    keypoint = packed.clip(i)
    layout = packed.layout_of(i)
    clip = {'layout': layout, 'channels': packed.channels, 'name': name, 'total_frames': keypoint.shape[1]}
    steps = pipeline_steps({**clip, 'keypoint': keypoint}, pipeline)
    panels = []
    for stream in streams:
        panels += [in_stream(panel, stream, layout) for panel in steps]
        if shown:
            batch = np.array([indices[(place + k) % len(indices)] for k in range(1 + PARTNERS)])
            clips = torch.from_numpy(materialise(packed, batch, pipeline, 1, packed.has_missing))
            clips, missing = split_missing(clips) if packed.has_missing else (clips, None)
            preprocessor, native = MODELS.build({**cfg.model.data_preprocessor, 'stream': stream}), None
            if preprocessor.reads_native:
                arrays = materialise_native(packed, batch, pipeline.native(), 1, packed.has_missing)
                native = NativeClips(*map(torch.from_numpy, arrays))
                if packed.has_missing:
                    native, missing = split_missing_native(native, clips, missing)
                native = native.padded()
            panels += view_steps(preprocessor, clips, shown, args.seed, args.iteration, missing, native)
    return f'{name}: {class_name(packed.classes, label)} ({packed.path}, {args.split})', packed, panels


def main() -> None:
    args = parser().parse_args()
    cfg = resolve_config(read_config(args.config, args.cfg_options))
    title, packed, panels = collect(cfg, args)
    out = Path(args.out or f'work_dirs/browse/{title.split(":")[0]}.html')
    play_clip(panels, packed.layout, out, title, args.fps, args.frames)
    print(f'wrote {out}: {len(panels)} panels: {" | ".join(panel.step for panel in panels)}')
    for panel in panels:
        if panel.stream == 'joint' and 'missing' in panel.note:
            print(f'{panel.step}: {panel.note}')


if __name__ == '__main__':
    cli.run(main)
