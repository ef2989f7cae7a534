"""SkeletonCLR: momentum contrast on skeletons, the paper's baseline."""

from torch import Tensor

from skeattn.models.algorithms.base import MomentumContrast
from skeattn.registry import MODELS


@MODELS.register_module()
class SkeletonCLR(MomentumContrast):
    """MoCo-v2 on skeletons (Li et al., CVPR 2021, section 3.1): two views of a clip attract, the queue repels."""

    released_temperature = 0.07

    def loss(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """``inputs``: views ``query`` and ``key``, each ``(N, M, C, T, V)``."""
        z_q, z_k = self.query(inputs['query']), self.key(inputs['key'])
        loss = self.contrast(z_q, z_k, self.queue.keys)
        self.queue.stage(z_k)
        return {'loss': loss}
