"""PSTL: self-supervised action representation learning from partial spatio-temporal skeleton sequences (AAAI 2023)."""

import inspect
from typing import Any

from torch import Tensor

from skeattn.augment import CentralSpatialMasking
from skeattn.errors import ConfigError
from skeattn.models.algorithms.base import EncoderPretraining, PaperVsRelease, common_choices
from skeattn.models.losses import barlow_twins
from skeattn.registry import MODELS


@MODELS.register_module()
class PSTL(EncoderPretraining):
    """A clip agrees with a view of a part of its frames and with one of a part of its joints, without negatives.

    Args:
        redundancy_weight: lambda, the weight of the redundancy terms of Barlow Twins.
        project_again: also compute the embeddings of the whole view a second time, for the second loss, as released.
            Losses and gradients are the same; the running statistics of the projector's BN are not.
        kwargs: see :class:`~skeattn.models.algorithms.base.EncoderPretraining`; the projector ends with a normalisation
            without scale and shift (``out_norm_cfg``).

    Raises:
        ConfigError: no projector, or joints to be left out (``CentralSpatialMasking``) by a backbone without a graph.
    """

    def __init__(self, redundancy_weight: float = 2e-4, project_again: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.redundancy_weight, self.project_again = redundancy_weight, project_again
        if self.encoder.projector is None:
            raise ConfigError(
                'PSTL needs a projector: set model.projector=dict(type="MLP", num_layers=3, '
                'norm_cfg=dict(type="BN1d"), out_norm_cfg=dict(type="BN1d", affine=False))'
            )
        ops = getattr(self.data_preprocessor, 'ops', {}).get('spatial', {})
        removing = [name for name, op in ops.items() if isinstance(op, CentralSpatialMasking)]
        backbone = self.encoder.backbone
        if removing and 'joints' not in inspect.signature(backbone.forward).parameters:
            raise ConfigError(
                f'model.data_preprocessor.views.spatial.{removing[0]}: {type(backbone).__name__}.forward takes no '
                f'"joints", because it has no graph to remove them from; set '
                f'model.data_preprocessor.views.spatial.{removing[0]}=None'
            )

    def loss(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """``inputs``: views ``query`` (whole), ``temporal`` (a part of the frames) and ``spatial`` with its note.

        Each view is ``(N, M, C, T, V)``; ``spatial.joints`` are the joints that the encoder keeps, ``(N, V')``.
        """
        kept = {'joints': inputs['spatial.joints'][0]} if 'spatial.joints' in inputs else {}
        f_1 = self.encoder.map(inputs['query']).pool()
        f_2 = self.encoder.map(inputs['temporal']).pool()
        f_3 = self.encoder.map(inputs['spatial'], **kept).pool()

        project = self.encoder.projector
        z_1, z_2 = project(f_1), project(f_2)
        L_temporal = barlow_twins(z_1, z_2, self.redundancy_weight)
        if self.project_again:
            z_1 = project(f_1)
        L_spatial = barlow_twins(z_1, project(f_3), self.redundancy_weight)
        return {'loss': L_temporal + L_spatial, 'L_temporal': L_temporal, 'L_spatial': L_spatial}

    def paper_vs_release(self) -> PaperVsRelease:
        """See :meth:`~skeattn.models.algorithms.base.Pretraining.paper_vs_release`."""
        weight, width = self.redundancy_weight, self.encoder.projector.out_channels
        again = 'as released' if self.project_again else 'omitted: the losses are the same'
        return {
            'redundancy_weight': (weight, 'as released' if weight == 2e-4 else 'custom; the release used 2e-4'),
            'projector.out_channels': (width, 'as released' if width == 6144 else 'custom; the release used 6144'),
            'project_again': (self.project_again, again),
            **common_choices(self.encoder, self.data_preprocessor),
        }
