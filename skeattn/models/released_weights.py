"""Checkpoints of the released code bases -> ours: names, and what the shapes say about the model.

The releases differ in how they name the same things. Any width converts, since only names change (and projector
weights lose the trailing axis of a 1-D convolution).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from skeattn.errors import CheckpointError
from skeattn.graph import adjacency

LAYOUT = 'ntu25'
"""The skeleton of every released network."""

MODEL_TYPES = {
    'skeattnclr': 'SkeAttnCLR',
    'skeletonclr': 'SkeletonCLR',
    'crossclr': 'CrosSCLR',
    'aimclr': 'AimCLR',
    'hiclr': 'HiCLR',
    'skelemixclr': 'SkeleMixCLR',
    'recognizer': 'Recognizer',
}
"""Method -> our class; ``recognizer`` is any release's network of the linear evaluation or the fine-tuning."""

_Rule = tuple[str, str | Callable[[re.Match[str]], str]]

_STGCN: tuple[_Rule, ...] = (
    (r'st_gcn_networks\.(\d+)\.', r'blocks.\1.'),
    (r'edge_importance(\d+)$', lambda found: f'edge_importance.{int(found[1]) - 1}'),  # HiCLR counts from 1
)
_BIGRU: tuple[_Rule, ...] = (
    (r'\binput_norm\.', 'data_bn.'),
    (r'\bencoder\.gru\.(weight|bias)_(ih|hh)_l(\d+)$', r'layers.\3.0.\1_\2_l0'),
    (r'\bencoder\.gru\.(weight|bias)_(ih|hh)_l(\d+)_reverse$', r'layers.\3.1.\1_\2_l0'),
)
_DSTA: tuple[_Rule, ...] = (
    (r'backbone\.proj\.', 'backbone.embed.0.'),
    (r'\binput_map\.0\.', 'embed.1.'),
    (r'graph_layers\.(\d+)\.', r'blocks.\1.'),
    (r'\balphas$', 'joints.alpha'),
    (r'\battention0s$', 'joints.learnt'),
    (r'\balphat$', 'frames.alpha'),
    (r'\battention0t$', 'frames.learnt'),
    *(
        rule
        for letter, axis in (('s', 'joints'), ('t', 'frames'))
        for rule in (
            (rf'\bin_net{letter}\.', f'{axis}.qk.'),
            (rf'\bout_net{letter}\.', f'{axis}.out.'),
            (rf'\bff_net{letter}\.', f'{axis}.feed.'),
            (rf'\bdown{letter}1\.', f'{axis}.past_out.'),
            (rf'\bdown{letter}2\.', f'{axis}.past_feed.'),
        )
    ),
)
_MOCO: tuple[_Rule, ...] = (
    (r'\bqueue$', 'queue.keys'),
    (r'\bqueue_ptr$', 'queue.pointer'),
    (r'\b(encoder_[qk])\.fc\.', r'\1.projector.layers.'),
    (r'\b(encoder_[qk])\.(?!projector)', r'\1.backbone.'),
    *_STGCN,
)
# p and c are the first SkeAttnCLR release's letters for salient and non-salient.
_RULES: dict[str, tuple[_Rule, ...]] = {
    'skeattnclr': (
        (r'^queue_z$', 'queue.keys'),
        (r'^queue_ptr_z$', 'queue.pointer'),
        (r'^encoder_q\.neck\.norm0\.', 'mhsam.norm.'),
        (r'^encoder_q\.neck\.Attn\.', 'mhsam.'),
        (r'\.neck\.proj\.mlp\.', '.projector.layers.'),
        (r'^predictor\.mlp\.', 'predictors.z.layers.'),
        (r'^predictor_(?:s|p)\.mlp\.', 'predictors.s.layers.'),
        (r'^predictor_(?:ns|c)\.mlp\.', 'predictors.ns.layers.'),
        *_STGCN,
        *_BIGRU,
        *_DSTA,
    ),
    'skeletonclr': _MOCO,
    'aimclr': _MOCO,
    'skelemixclr': _MOCO,
    'hiclr': ((r'^mask_param$', 'mask_fill'), *_MOCO),
    'crossclr': (
        (r'^(queue(?:_ptr)?|encoder_[qk])_(motion|bone)\b', r'members.\2.\1'),
        (r'^(?!members)', 'members.joint.'),
        # each further stream's head ends in the joint stream's
        (r'\.(motion|bone)\.(encoder_[qk])\.fc\.2\.', r'.\1.\2.projector.2.layers.'),
        (r'\.(motion|bone)\.(encoder_[qk])\.fc\.', r'.\1.\2.projector.'),
        *_MOCO,
    ),
    'recognizer': (
        (r'^encoder_q\w*\.(?:backbone\.)?fc\.', 'head.fc.'),
        (r'^encoder_q\w*\.(?:backbone\.)?', 'encoder.backbone.'),
        *_STGCN,
    ),
}
_UNUSED: dict[str, dict[str, str]] = {
    'skeattnclr': {
        r'queue(_ptr)?_(s|ns|p|c)': 'never read',
        r'encoder_[qk]\.neck\.proj_obj\..*': 'never trained',
        r'encoder_[qk]\.backbone\.fc\..*': 'never trained',
        r'encoder_k\.neck\.(norm0|Attn)\..*': 'never run',
        r'encoder_[qk]\.backbone\.graph_layers\.\d+\.(atts|attt|pe[st]\.pe)': 'follows from layout and length',
    },
    'recognizer': {
        r'encoder_q\.neck\..*': 'not run downstream',
        r'mask_param': 'not used downstream',
    },
}
_ADJACENCY = r'encoder_[qk](_motion|_bone|\.backbone)?\.A'
_SCALARS = re.compile(r'(.*\.)?queue\.pointer|mask_fill')

# What only this release names; where none of it is found, SkeletonCLR's and AimCLR's names, which are the same.
_MARKS = {
    'skeattnclr': r'encoder_q\.backbone\..*',
    'crossclr': r'encoder_q_(motion|bone)\..*',
    'hiclr': r'mask_param|encoder_q\.edge_importance\d+',
    'skelemixclr': r'encoder_q\.fc\.1\.running_mean',
}


@dataclass
class Conversion:
    """A converted state with an account of every tensor.

    Attributes:
        state: our names -> tensors.
        renamed: their names -> ours, for every tensor in ``state``.
        ignored: their names without counterpart here -> why.
        adjacency: the fixed graph that came with the weights.
    """

    state: dict[str, Tensor] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)
    adjacency: Tensor | None = None


def convert_released(state: Mapping[str, Tensor], method: str, stream: str = 'joint') -> Conversion:
    """Rename a released state dict; names that no rule knows keep theirs.

    Args:
        state: the release's tensors by their official names; a leading ``module.`` is dropped.
        method: a key of :data:`MODEL_TYPES`; ``'skeletonclr'`` is CrosSCLR's single-stream model.
        stream: which one to take where a ``'recognizer'`` has an encoder for each of several.

    Raises:
        KeyError: unknown method.
    """
    unused = {**_UNUSED.get(method, {}), _ADJACENCY: 'follows from the layout'}
    if method == 'recognizer':
        unused[_other_streams(stream)] = 'another stream'
    found = Conversion()
    for name, value in state.items():
        old = name.removeprefix('module.')
        if re.fullmatch(_ADJACENCY, old):
            found.adjacency = value
        why = next((why for pattern, why in unused.items() if re.fullmatch(pattern, old)), None)
        if why:
            found.ignored[name] = why
            continue
        new = old
        for pattern, replacement in _RULES[method]:
            new = re.sub(pattern, replacement, new)
        if value.ndim == 3 and value.shape[2] == 1 and '.layers.' in new:
            value = value.squeeze(2)
        if _SCALARS.fullmatch(new):
            value = value.reshape(())
        found.renamed[name] = new
        found.state[new] = value
    return found


def methods_of(names: Iterable[str]) -> tuple[str, ...]:
    """Which releases write these names: keys of :data:`MODEL_TYPES`.

    Two where the names do not tell (SkeletonCLR and AimCLR differ in their losses alone), none where it is no
    ST-GCN of these releases. Without a key encoder it is a network of the downstream tasks, ``'recognizer'``.
    """
    names = [name.removeprefix('module.') for name in names]

    def any_like(pattern: str) -> bool:
        return any(re.fullmatch(pattern, name) for name in names)

    if not any_like(r'encoder_q\.(backbone\.)?st_gcn_networks\..*'):
        return ()
    if not any_like(r'encoder_k\..*'):
        return ('recognizer',)
    marked = tuple(method for method, pattern in _MARKS.items() if any_like(pattern))
    return marked[:1] or ('skeletonclr', 'aimclr')


def released_config(found: Conversion, method: str) -> dict[str, Any]:
    """What converted weights say about the config: the part that shapes and names decide.

    What leaves no trace in them is not in it: temperature, number of attention heads, λ, μ, dropout, and the stream of
    a model on one stream.

    Args:
        found: from :func:`convert_released`.
        method: the method given there.

    Raises:
        CheckpointError: a tensor that decides is missing, or the graph is not one of ours.
    """
    state = found.state
    one = 'members.joint.' if method == 'crossclr' else ''
    q = 'encoder.' if method == 'recognizer' else f'{one}encoder_q.'
    config: dict[str, Any] = {'layout': LAYOUT}
    model: dict[str, Any] = {
        'type': MODEL_TYPES[method],
        'backbone': {
            'type': 'STGCN',
            'base_channels': _size(state, f'{q}backbone.blocks.0.tcn.2.weight', 0),
            'out_channels': _size(state, f'{q}backbone.blocks.9.tcn.2.weight', 0),
            'graph': _graph(found.adjacency),
        },
    }
    if method == 'recognizer':
        model['head'] = {'type': 'LinearHead'}
        if 'head.fc.weight' in state:
            config['num_classes'] = _size(state, 'head.fc.weight', 0)
        return {**config, 'model': model}
    model['projector'] = _mlp(state, f'{q}projector.')
    if f'{one}queue.keys' in state:
        model['queue'] = {'size': _size(state, f'{one}queue.keys', 1)}
    if method == 'skeattnclr':
        model |= {'heads': 'released', 'predictor': _mlp(state, 'predictors.z.')}
    if method == 'crossclr':
        config['stream'] = list(dict.fromkeys(name.split('.')[1] for name in state))
        model['shared_heads'] = any(re.fullmatch(r'members\.\w+\.encoder_q\.projector\.0\.weight', n) for n in state)
    return {**config, 'model': model}


def streams_of(names: Iterable[str]) -> list[str]:
    """The streams that have an encoder of their own; joint alone where the names tell of none."""
    found = {match[1] for name in names if (match := re.match(r'(?:module\.)?encoder_q_(motion|bone)\.', name))}
    return ['joint', *(stream for stream in ('motion', 'bone') if stream in found)]


def _other_streams(stream: str) -> str:
    mine = 'encoder_q' if stream == 'joint' else f'encoder_q_{stream}'
    return rf'(?!{mine}\.)encoder_q(_motion|_bone)?\..*'


def _size(state: Mapping[str, Tensor], name: str, axis: int) -> int:
    if name not in state or state[name].ndim <= axis:
        raise CheckpointError(f'the checkpoint is incomplete: {name!r} (our name) is missing or has too few axes')
    return state[name].shape[axis]


def _mlp(state: Mapping[str, Tensor], prefix: str) -> dict[str, Any]:
    norm = f'{prefix}layers.1.running_mean' in state
    return {
        'type': 'MLP',
        'hidden_channels': _size(state, f'{prefix}layers.0.weight', 0),
        'out_channels': _size(state, f'{prefix}layers.{3 if norm else 2}.weight', 0),
        'norm_cfg': {'type': 'BN1d'} if norm else None,
        'bias': f'{prefix}layers.0.bias' in state,
    }


def _graph(A: Tensor | None) -> str:
    if A is None:
        raise CheckpointError('the checkpoint is incomplete: no adjacency (encoder_q…A) tells which graph it was for')
    for strategy in ('agcn', 'spatial'):
        known = torch.as_tensor(adjacency(LAYOUT, strategy))
        if A.shape == known.shape and torch.allclose(A.double(), known, atol=1e-5):
            return strategy
    raise CheckpointError(f'its adjacency is of neither graph, "agcn" nor "spatial", of layout {LAYOUT!r}')
