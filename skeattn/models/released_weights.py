"""Checkpoints of the released code bases -> ours: names, and the config that the shapes imply.

The releases have different names for the same parts. Any width converts, since only names change (and projector
weights lose the trailing axis of a 1-D convolution, tables of positions put the channels first).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from skeattn import choices
from skeattn.errors import CheckpointError
from skeattn.graph import adjacency

LAYOUT = 'ntu25'
"""The skeleton of every released network."""

MODEL_TYPES = choices.RELEASED_TYPES
"""Method -> our class; ``recognizer`` is the network of linear evaluation or fine-tuning in any release."""

_Rule = tuple[str, str | Callable[[re.Match[str]], str]]

_STGCN: tuple[_Rule, ...] = (
    (r'st_gcn_networks\.(\d+)\.', r'blocks.\1.'),
    (r'edge_importance(\d+)$', lambda match: f'edge_importance.{int(match[1]) - 1}'),  # HiCLR counts from 1
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
_MAMP: tuple[_Rule, ...] = (
    (r'\bblocks\.(\d+)\.', r'layers.\1.'),
    (r'\battn\.qkv\.', 'self_attn.in_proj_'),
    (r'\battn\.proj\.', 'self_attn.out_proj.'),
    (r'\bmlp\.fc([12])\.', r'linear\1.'),
    (r'\bjoints_embed\.proj\.', 'embed.'),
    (r'\bpred\.', 'predict.'),
    (r'\bpos_embed$', 'joints'),
    (r'\btemp_embed$', 'times'),
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
    'mamp': (
        (r'^mask_token$', 'decoder.mask_token'),
        (r'^decoder_', 'decoder.'),
        (r'^(?!decoder\.)', 'encoder.backbone.'),
        *_MAMP,
    ),
    'stars': (
        (
            r'^queue(_ptr|_id)?$',
            lambda match: {None: 'queue.keys', '_ptr': 'queue.pointer', '_id': 'queue.ids'}[match[1]],
        ),
        (r'^encoder_student\.head\.projector\.0\.', 'projector.'),
        (r'^encoder_student\.head\.predictor\.', 'predictor.layers.'),
        (r'^encoder_student\.', 'encoder.backbone.'),
        *_MAMP,
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

# Names that only one release has. Without any of them, the names are those of SkeletonCLR and AimCLR, which are equal.
_UNIQUE_NAMES = {
    'skeattnclr': r'encoder_q\.backbone\..*',
    'crossclr': r'encoder_q_(motion|bone)\..*',
    'hiclr': r'mask_param|encoder_q\.edge_importance\d+',
    'skelemixclr': r'encoder_q\.fc\.1\.running_mean',
}


@dataclass
class Conversion:
    """A converted state dict, with an account of every released tensor.

    Attributes:
        state: our names -> tensors.
        renamed: released names -> ours, for every tensor in ``state``.
        ignored: released names without counterpart here -> the reason.
        adjacency: the fixed graph in the checkpoint.
    """

    state: dict[str, Tensor] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)
    adjacency: Tensor | None = None


def convert_released(state: Mapping[str, Tensor], method: str, stream: str = 'joint') -> Conversion:
    """Rename the tensors of a released state dict; names without a rule are kept.

    Args:
        state: the release's tensors by their official names; a leading ``module.`` is dropped.
        method: a key of :data:`MODEL_TYPES`; ``'skeletonclr'`` is CrosSCLR's single-stream model.
        stream: the one to convert if a ``'recognizer'`` has an encoder for each of several.

    Raises:
        KeyError: unknown method.
    """
    unused = {**_UNUSED.get(method, {}), _ADJACENCY: 'follows from the layout'}
    if method == 'recognizer':
        unused[_other_streams(stream)] = 'another stream'
    conversion = Conversion()
    for name, value in state.items():
        old = name.removeprefix('module.')
        if re.fullmatch(_ADJACENCY, old):
            conversion.adjacency = value
        reason = next((reason for pattern, reason in unused.items() if re.fullmatch(pattern, old)), None)
        if reason:
            conversion.ignored[name] = reason
            continue
        new = old
        for pattern, replacement in _RULES[method]:
            new = re.sub(pattern, replacement, new)
        if value.ndim == 3 and value.shape[2] == 1 and '.layers.' in new:
            value = value.squeeze(2)
        if value.ndim == 4 and new.endswith(('.joints', '.times')):
            value = value[0].permute(2, 0, 1)
        if _SCALARS.fullmatch(new):
            value = value.reshape(())
        conversion.renamed[name] = new
        conversion.state[new] = value
    return conversion


def methods_of(names: Iterable[str]) -> tuple[str, ...]:
    """The releases that have these names: keys of :data:`MODEL_TYPES`.

    Two for the names of SkeletonCLR and AimCLR, which differ in their losses alone; none if this is neither the
    Transformer of MAMP or STARS nor an ST-GCN of these releases. An ST-GCN without key encoder is a network of the
    downstream tasks, ``'recognizer'``.
    """
    names = [name.removeprefix('module.') for name in names]

    def any_like(pattern: str) -> bool:
        return any(re.fullmatch(pattern, name) for name in names)

    for method, prefix in (('mamp', ''), ('stars', 'encoder_student.')):
        if f'{prefix}joints_embed.proj.weight' in names:
            return (method,)
    if not any_like(r'encoder_q\.(backbone\.)?st_gcn_networks\..*'):
        return ()
    if not any_like(r'encoder_k\..*'):
        return ('recognizer',)
    marked = tuple(method for method, pattern in _UNIQUE_NAMES.items() if any_like(pattern))
    return marked[:1] or ('skeletonclr', 'aimclr')


def released_config(conversion: Conversion, method: str) -> dict[str, Any]:
    """The part of the config that shapes and names of converted weights determine.

    They do not determine temperature, number of attention heads, λ, μ, dropout, and the stream of a single-stream
    model.

    Args:
        conversion: from :func:`convert_released`.
        method: as in :func:`convert_released`.

    Raises:
        CheckpointError: a tensor that determines the config is missing, or the graph is not one of ours.
    """
    state = conversion.state
    if method in ('mamp', 'stars'):
        return {'layout': LAYOUT, 'model': _masked_model(state, method)}
    one = 'members.joint.' if method == 'crossclr' else ''
    q = 'encoder.' if method == 'recognizer' else f'{one}encoder_q.'
    config: dict[str, Any] = {'layout': LAYOUT}
    model: dict[str, Any] = {
        'type': MODEL_TYPES[method],
        'backbone': {
            'type': 'STGCN',
            'base_channels': _size(state, f'{q}backbone.blocks.0.tcn.2.weight', 0),
            'out_channels': _size(state, f'{q}backbone.blocks.9.tcn.2.weight', 0),
            'graph': _graph(conversion.adjacency),
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
    """The streams with a separate encoder; joint alone if the names show none."""
    separate = {match[1] for name in names if (match := re.match(r'(?:module\.)?encoder_q_(motion|bone)\.', name))}
    return ['joint', *(stream for stream in ('motion', 'bone') if stream in separate)]


def _other_streams(stream: str) -> str:
    encoder = 'encoder_q' if stream == 'joint' else f'encoder_q_{stream}'
    return rf'(?!{encoder}\.)encoder_q(_motion|_bone)?\..*'


def _size(state: Mapping[str, Tensor], name: str, axis: int) -> int:
    if name not in state or state[name].ndim <= axis:
        raise CheckpointError(f'the checkpoint is incomplete: {name!r} (our name) is missing or has too few axes')
    return state[name].shape[axis]


def _masked_model(state: Mapping[str, Tensor], method: str) -> dict[str, Any]:
    """The model of MAMP, with the shortest decoder for an encoder alone, or of STARS."""
    E = 'encoder.backbone.'
    patch = _size(state, f'{E}embed.weight', 2)
    backbone = {'type': 'SkeletonTransformer', 'position': 'learnt', 'norm_input': False, 'dropout': 0.0}
    backbone |= {'patch': patch, 'num_frames': patch * _size(state, f'{E}times', 1), **_layers(state, E)}
    backbone['out_channels'] = _size(state, f'{E}embed.weight', 0)
    model: dict[str, Any] = {'type': MODEL_TYPES[method], 'backbone': backbone}
    if method == 'stars':
        model['predictor'] = {**_mlp(state, 'predictor.'), 'last_bias': 'predictor.layers.3.bias' in state}
        return model | ({'queue': {'size': _size(state, 'queue.keys', 1)}} if 'queue.keys' in state else {})
    decoder: dict[str, Any] = {'depth': 1}
    if 'decoder.embed.weight' in state:
        decoder = {'channels': _size(state, 'decoder.embed.weight', 0), **_layers(state, 'decoder.')}
    return {**model, 'decoder': decoder}


def _layers(state: Mapping[str, Tensor], prefix: str) -> dict[str, Any]:
    """Number and inner width of a Transformer's layers."""
    inner = f'{prefix}layers.0.linear1.weight'
    depth = len({name for name in state if re.fullmatch(rf'{re.escape(prefix)}layers\.\d+\.linear1\.weight', name)})
    return {'depth': depth, 'ratio': _size(state, inner, 0) / _size(state, inner, 1)}


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
        raise CheckpointError('the checkpoint is incomplete: no adjacency (encoder_q…A) identifies its graph')
    for strategy in ('agcn', 'spatial'):
        reference = torch.as_tensor(adjacency(LAYOUT, strategy))
        if A.shape == reference.shape and torch.allclose(A.double(), reference, atol=1e-5):
            return strategy
    raise CheckpointError(f'its adjacency matches neither graph, "agcn" nor "spatial", of layout {LAYOUT!r}')
