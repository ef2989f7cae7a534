"""Methods without labels, as short as a researcher would write them, one for each kind of state of a method.

Several test modules train them; a config imports this module and names the class.
"""

from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, cross_entropy

from skeattn.augment import Augment
from skeattn.models import Encoder, EncoderPretraining, FeatureQueue, MomentumContrast, MomentumPretraining, key_copy
from skeattn.models.losses import l2_normalize, similarities
from skeattn.registry import AUGMENTS, MODELS, NECKS
from tests.engine.toy import toy_config


def follow(prediction: Tensor, target: Tensor) -> Tensor:
    return -cosine_similarity(prediction, target.detach()).mean()


def predictor(encoder: Encoder, **cfg: Any) -> nn.Module:
    width = encoder.projector.out_channels
    return NECKS.build(dict(type='MLP', in_channels=width, hidden_channels=16, out_channels=width, **cfg))


@MODELS.register_module()
class ToySimSiam(EncoderPretraining):
    """One encoder and a predictor (Chen and He, CVPR 2021)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.predictor = predictor(self.encoder, norm_cfg=dict(type='BN1d'))

    def loss(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        z_1, z_2 = self.encoder(inputs['query']), self.encoder(inputs['key'])
        p_1, p_2 = self.predictor(z_1), self.predictor(z_2)
        return {'loss': (follow(p_1, z_2) + follow(p_2, z_1)) / 2}


@MODELS.register_module()
class ToyBarlowTwins(EncoderPretraining):
    """One encoder and nothing else (Zbontar et al., ICML 2021)."""

    def loss(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        a, b = (self.encoder(inputs[view]) for view in ('query', 'key'))
        a, b = ((z - z.mean(dim=0)) / (z.std(dim=0) + 1e-5) for z in (a, b))
        C = a.T @ b / len(a)
        off = ~torch.eye(len(C), dtype=torch.bool)
        L_invariance, L_redundancy = (C.diagonal() - 1).square().sum(), C[off].square().sum()
        return {'loss': L_invariance + 0.005 * L_redundancy, 'L_redundancy': L_redundancy}


@MODELS.register_module()
class ToyNeighbours(EncoderPretraining):
    """A queue without key encoder: the positive of an embedding is its neighbour in the queue (NNCLR, STARS)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bank = FeatureQueue(size=40, channels=self.encoder.projector.out_channels)
        self.predictor = predictor(self.encoder)

    def loss(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        z = l2_normalize(self.encoder(inputs['query']))
        p = l2_normalize(self.predictor(self.encoder(inputs['key'])))
        neighbour = self.bank.keys.T[(z @ self.bank.keys).argmax(dim=1)]
        self.bank.stage(z)
        return {'loss': cross_entropy(neighbour @ p.T / 0.1, torch.arange(len(p)))}


@MODELS.register_module()
class ToyBYOL(MomentumContrast):
    """Momentum contrast without queue and contrastive loss (Grill et al., NeurIPS 2020)."""

    needs = ()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.predictor = predictor(self.encoder)

    def loss(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        p = self.predictor(self.encoder_q(inputs['query']))
        return {'loss': follow(p, self.key(inputs['key']))}


@AUGMENTS.register_module()
class ToyFirstFrames(Augment):
    """The first half of a clip."""

    def sample(self, count: int, spec: Any, generator: torch.Generator) -> dict[str, Tensor]:
        return {}

    def change(self, x: Tensor, params: dict[str, Tensor], partners: Any) -> Tensor:
        return x[:, :, : x.shape[2] // 2]


@MODELS.register_module()
class ToyDistillation(MomentumPretraining):
    """An averaged teacher of encoder and head; the student sees a shorter view (DINO, SLiM)."""

    def __init__(self, backbone: dict[str, Any], projector: dict[str, Any], persons: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.encoder = Encoder(backbone, projector, persons)
        self.head = nn.Linear(projector['out_channels'], 12)
        self.teacher = nn.ModuleDict({name: key_copy(getattr(self, name)) for name in ('encoder', 'head')})

    def momentum_pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        return [(getattr(self, name), module) for name, module in self.teacher.items()]

    def loss(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        assert inputs['short'].shape[3] == inputs['query'].shape[3] // 2
        with torch.no_grad():
            target = (self.teacher['head'](self.teacher['encoder'](inputs['query'])) / 0.1).softmax(dim=1)
        return {'loss': cross_entropy(self.head(self.encoder(inputs['short'])), target)}


class ToyContrast(MomentumContrast):
    """A custom loss with a key encoder and a queue."""

    def loss(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        z_q, z_k = self.query(inputs['query']), self.key(inputs['key'])
        self.queue.stage(z_k)
        return {'loss': -similarities(z_q, z_k, self.queue.keys).log_softmax(dim=1)[:, 0].mean()}


# The hooks of the default runtime that a method does not need.
SUPERFLUOUS = {
    'ToySimSiam': ('momentum', 'queue'),
    'ToyBarlowTwins': ('momentum', 'queue'),
    'ToyNeighbours': ('momentum',),
    'ToyBYOL': ('queue',),
    'ToyDistillation': ('queue',),
    'PSTL': ('momentum', 'queue'),
}

LINES = """
custom_imports = dict(imports=['tests.models.siamese'])
model = dict(
    type='{method}',
    backbone=dict(base_channels=2, out_channels=8),
    projector=dict(type='MLP', hidden_channels=16, out_channels=8, norm_cfg=dict(type='BN1d')),
    data_preprocessor=dict(views=dict({views})),
)
"""
VIEWS = {
    'ToyDistillation': "short=dict(like='query', cut=dict(type='ToyFirstFrames'))",
    'PSTL': "temporal=dict(like='query', frames=dict(type='MotionAttentionTemporalMasking', on='stream')), "
    "spatial=dict(like='query', joints=dict(type='CentralSpatialMasking'))",
}


def siamese_config(folder: Any, method: str, hooks: dict[str, Any] | None = None, **options: Any) -> Config:
    """The toy config of one method, without its superfluous hooks, or with ``hooks``."""
    lines = LINES.format(method=method, views=VIEWS.get(method, "key=dict(like='query')"))
    removed = dict.fromkeys(SUPERFLUOUS[method]) if hooks is None else hooks
    overrides = {f'default_hooks__{name}': hook for name, hook in removed.items()}
    return toy_config(folder, model='stgcn', lines=lines, **overrides, **options)
