"""Our weights under the names that the releases give them: the converter's inverse, written independently of it."""

import re

import torch

from skeattn.graph import adjacency
from tests.engine.toy import tool

OWN = {
    'skeattnclr': {
        'queue.keys': 'queue_z',
        'queue.pointer': 'queue_ptr_z',
        'mhsam.norm.': 'encoder_q.neck.norm0.',
        'mhsam.': 'encoder_q.neck.Attn.',
        'predictors.z.layers.': 'predictor.mlp.',
        'predictors.s.layers.': 'predictor_s.mlp.',
        'predictors.ns.layers.': 'predictor_ns.mlp.',
    },
    'hiclr': {'mask_fill': 'mask_param'},
}
QUEUE = {'queue.keys': 'queue', 'queue.pointer': 'queue_ptr'}


def released_name(name, method):
    """A released name of our ``name``."""
    for ours, theirs in OWN.get(method, {}).items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    stream = ''
    if name.startswith('members.'):
        _, stream, name = name.split('.', 2)
    suffix = f'_{stream}' if stream in ('motion', 'bone') else ''
    if name in QUEUE:
        return QUEUE[name] + suffix
    side, part, rest = name.split('.', 2)
    rest = re.sub(r'^blocks\.', 'st_gcn_networks.', rest)
    if method == 'hiclr':
        rest = re.sub(r'^edge_importance\.(\d+)$', lambda found: f'edge_importance{int(found[1]) + 1}', rest)
    if method == 'skeattnclr':
        return f'{side}.backbone.{rest}' if part == 'backbone' else f'{side}.neck.proj.{rest.replace("layers", "mlp")}'
    return f'{side}{suffix}.{rest}' if part == 'backbone' else f'{side}{suffix}.fc.{rest.replace("layers.", "")}'


def released_state(state, method, graph):
    """Our state dict in the form of the release, with the other tensors that the release saves."""
    theirs = {}
    for name, value in state.items():
        old = released_name(name, method)
        if method == 'skeattnclr' and '.mlp.' in old and value.ndim == 2:
            value = value.unsqueeze(2)
        theirs[old] = value.reshape(1) if value.ndim == 0 and not name.endswith('tracked') else value
    sides = {re.match(r'encoder_[qk]\w*(\.backbone)?', name)[0] for name in theirs if 'st_gcn' in name}
    A = torch.as_tensor(adjacency('ntu25', graph), dtype=torch.float32)
    theirs |= {f'{side}.A': A for side in sides}
    if method == 'skeattnclr':
        theirs |= {f'{side}.fc.{kind}': torch.zeros(3, 3) for side in sides for kind in ('weight', 'bias')}
        theirs |= {'queue_s': torch.zeros(2, 3), 'queue_ptr_ns': torch.zeros(1)}
        theirs |= {'encoder_k.neck.proj_obj.mlp.0.weight': torch.zeros(2, 2, 1)}
        theirs |= {'encoder_k.neck.Attn.qkv.weight': torch.zeros(2, 2)}
    return theirs


build = tool('model_converters/convert_released').build
TYPES = {
    'skeattnclr': 'SkeAttnCLR',
    'skeletonclr': 'SkeletonCLR',
    'crossclr': 'CrosSCLR',
    'aimclr': 'AimCLR',
    'hiclr': 'HiCLR',
    'skelemixclr': 'SkeleMixCLR',
}


def config_of(method, base=2, out=8, hidden=5, embedding=3, queue=6, streams=('joint', 'motion', 'bone')):
    """What the shapes of a release with these widths say."""
    normed = method in ('skeattnclr', 'skelemixclr')
    mlp = {
        'type': 'MLP',
        'hidden_channels': hidden,
        'out_channels': embedding,
        'norm_cfg': {'type': 'BN1d'} if normed else None,
        'bias': method != 'skeattnclr',
    }
    graph = 'agcn' if normed else 'spatial'
    backbone = {'type': 'STGCN', 'base_channels': base, 'out_channels': out, 'graph': graph}
    model = {'type': TYPES[method], 'backbone': backbone, 'projector': mlp, 'queue': {'size': queue}}
    config = {'layout': 'ntu25', 'model': model}
    if method == 'skeattnclr':
        model |= {'heads': 'released', 'predictor': mlp}
    if method == 'crossclr':
        model['shared_heads'] = True
        config['stream'] = list(streams)
    return config


def random_state(config):
    """Our state dict of a config, every number drawn at random."""
    state = build(config).state_dict()
    shared = {}  # tensors under two names keep being the same
    return {
        name: shared.setdefault(value.data_ptr(), torch.rand(value.shape).to(value.dtype))
        for name, value in state.items()
    }


def released(method, **widths):
    config = config_of(method, **widths)
    return released_state(random_state(config), method, config['model']['backbone']['graph'])


MASKED = {
    r'\.joints$': '.pos_embed',
    r'\.times$': '.temp_embed',
    r'self_attn\.in_proj_': 'attn.qkv.',
    r'self_attn\.out_proj\.': 'attn.proj.',
    r'\.linear': '.mlp.fc',
    r'\.layers\.': '.blocks.',
    r'\.predict\.': '.pred.',
    r'^decoder\.mask_token': 'mask_token',
    r'^decoder\.': 'decoder_',
    r'^encoder\.backbone\.embed\.': 'joints_embed.proj.',
    r'^encoder\.backbone\.': '',
}


def masked_state(state):
    """Our MAMP's state dict in the form of its release."""
    theirs = {}
    for name, value in state.items():
        old = name
        for pattern, replacement in MASKED.items():
            old = re.sub(pattern, replacement, old)
        theirs[old] = value.permute(1, 2, 0)[None] if old.endswith(('pos_embed', 'temp_embed')) else value
    return theirs
