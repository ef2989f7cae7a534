"""Names of the released checkpoints' tensors -> ours.

The releases differ in how they name the same things; any width converts, since only names change (and projector
weights lose the trailing axis of a 1-D convolution).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

# What a release carries that has no counterpart: never read, never trained, or recomputed from the layout.
_IGNORED = (
    r'queue(_ptr)?_n?s',
    r'.*\.proj_obj\..*',
    r'.*backbone\.fc\..*',
    r'encoder_k\.neck\.(norm0|Attn)\..*',
    r'encoder_[qk](_motion|_bone|\.backbone)?\.A',
)

_Rule = tuple[str, str | Callable[[re.Match[str]], str]]
_STGCN: tuple[_Rule, ...] = (
    (r'st_gcn_networks\.(\d+)\.', r'blocks.\1.'),
    (r'edge_importance\.?(\d+)$', r'edge_importance.\1'),
)
_MOCO: tuple[_Rule, ...] = (
    (r'\bqueue$', 'queue.keys'),
    (r'\bqueue_ptr$', 'queue.pointer'),
    (r'\b(encoder_[qk])\.fc\.', r'\1.projector.layers.'),
    (r'\b(encoder_[qk])\.(?!projector)', r'\1.backbone.'),
)
_RULES: dict[str, tuple[_Rule, ...]] = {
    'skeattnclr': (
        (r'^queue_z$', 'queue.keys'),
        (r'^queue_ptr_z$', 'queue.pointer'),
        (r'^encoder_q\.neck\.norm0\.', 'mhsam.norm.'),
        (r'^encoder_q\.neck\.Attn\.', 'mhsam.'),
        (r'\.neck\.proj\.mlp\.', '.projector.layers.'),
        (r'^predictor\.mlp\.', 'predictors.z.layers.'),
        (r'^predictor_(ns|s)\.mlp\.', r'predictors.\1.layers.'),
        *_STGCN,
    ),
    'skeletonclr': (*_MOCO, *_STGCN),
    'aimclr': (*_MOCO, *_STGCN),
    'skelemixclr': (*_MOCO, *_STGCN),
    'hiclr': (
        (r'^mask_param$', 'mask_fill'),
        (r'edge_importance(\d+)$', lambda found: f'edge_importance.{int(found[1]) - 1}'),  # counted from 1
        *_MOCO,
        *_STGCN,
    ),
    'crossclr': (
        (r'^(queue(?:_ptr)?|encoder_[qk])_(motion|bone)\b', r'members.\2.\1'),
        (r'^(?!members)', 'members.joint.'),
        # each further stream's head ends in the joint stream's
        (r'\.(motion|bone)\.(encoder_[qk])\.fc\.2\.', r'.\1.\2.projector.2.layers.'),
        (r'\.(motion|bone)\.(encoder_[qk])\.fc\.', r'.\1.\2.projector.'),
        *_MOCO,
        *_STGCN,
    ),
}
_SCALARS = re.compile(r'(.*\.)?queue\.pointer|mask_fill')


@dataclass
class Conversion:
    """A converted state with an account of every tensor.

    Attributes:
        state: our names -> tensors.
        renamed: their names -> ours.
        ignored: their names without counterpart here.
    """

    state: dict[str, Tensor] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)


def convert_released(state: Mapping[str, Tensor], method: str) -> Conversion:
    """Rename a released state dict.

    Args:
        state: the release's tensors by their official names.
        method: ``'skeattnclr'``, ``'skeletonclr'`` (CrosSCLR's single-stream model), ``'crossclr'``, ``'aimclr'``,
            ``'hiclr'`` or ``'skelemixclr'``.

    Raises:
        KeyError: unknown method.
    """
    found = Conversion()
    for name, value in state.items():
        if any(re.fullmatch(pattern, name) for pattern in _IGNORED):
            found.ignored.append(name)
            continue
        new = name
        for pattern, replacement in _RULES[method]:
            new = re.sub(pattern, replacement, new)
        if value.ndim == 3 and value.shape[2] == 1 and '.layers.' in new:
            value = value.squeeze(2)
        if _SCALARS.fullmatch(new):
            value = value.reshape(())
        found.renamed[name] = new
        found.state[new] = value
    return found
