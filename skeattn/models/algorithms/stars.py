"""STARS: tuning a masked encoder by its nearest neighbours (TaatiTeam/STARS, 2024)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from skeattn.errors import ConfigError
from skeattn.models.algorithms.base import EncoderPretraining, PaperVsRelease, common_choices
from skeattn.models.depth import freeze_lower
from skeattn.models.losses import l2_normalize
from skeattn.models.processes import gather_with_gradient, own_rows
from skeattn.models.queue import FeatureQueue
from skeattn.registry import MODELS, NECKS


@MODELS.register_module()
class STARS(EncoderPretraining):
    """The prediction from a clip identifies the nearest neighbour of the clip's other view (NNCLR) in the batch.

    It tunes the upper blocks of an encoder that MAMP has trained; ``load_from`` names the checkpoint. The neighbour is
    a projection of another clip in the queue. The projector is a BatchNorm alone; evaluation reads the features before
    it. The release also shuffles the batch among processes; here each process normalises its own clips.

    Args:
        backbone: config of E, which defines ``layer_of``, see docs/backbones.md.
        predictor: config of the predictor; its widths follow from the backbone.
        queue: arguments of :class:`~skeattn.models.queue.FeatureQueue`: ``size``.
        temperature: tau.
        symmetric: True, as in the paper: both views learn to predict. False, as released: the predictions of the view
            ``key`` receive no gradient, so the gradient is half that of the view ``query``.
        trained: share of the blocks, from the top, that are trained; 1 also trains the embeddings.
        from_scratch: True to train without a checkpoint.
        data_preprocessor: config of the SkeletonPreprocessor with the views ``query`` and ``key``. Without ``key``, the
            two views are equal, as released, and are encoded once.
        persons, pool, init_cfg: see :class:`~skeattn.models.EncoderPretraining`.

    Raises:
        ConfigError: ``trained`` outside (0, 1], a backbone without ``layer_of``, or several streams.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        predictor: dict[str, Any],
        queue: dict[str, Any],
        temperature: float = 0.07,
        symmetric: bool = True,
        trained: float = 0.5,
        from_scratch: bool = False,
        data_preprocessor: dict[str, Any] | None = None,
        persons: str = 'all',
        pool: str = 'mean',
        init_cfg: Any = None,
    ) -> None:
        super().__init__(backbone, None, data_preprocessor, persons, pool, init_cfg)
        self.temperature, self.symmetric, self.from_scratch = temperature, symmetric, from_scratch
        freeze_lower(self.encoder.backbone, trained)
        width = self.encoder.backbone.out_channels
        # Not in the encoder, whose weights a checkpoint must have.
        self.projector = nn.BatchNorm1d(width)
        self.predictor: Any = NECKS.build(predictor, default_args={'in_channels': width, 'out_channels': width})
        self.queue = FeatureQueue(channels=width, with_ids=True, **queue)

    def check_start(self, loaded: bool) -> None:
        """Refuse to train an encoder of random weights.

        Args:
            loaded: whether a checkpoint was loaded.

        Raises:
            ConfigError: it was not, and ``from_scratch`` is False.
        """
        if not loaded and not self.from_scratch:
            raise ConfigError(
                'STARS tunes an encoder that MAMP has trained: train the config of the same name in configs/mamp, then '
                'set --cfg-options load_from=CHECKPOINT, its file or work_dir. model.from_scratch=True trains without'
            )

    def loss(self, inputs: dict[str, Any]) -> dict[str, Tensor]:
        """``inputs``: the views ``query`` and, unless it is the same, ``key``; ``clip.index`` identifies the clips."""
        ids = inputs['clip.index']
        z_q, p_q = self.embeddings(inputs['query'])
        z_k, p_k = self.embeddings(inputs['key']) if 'key' in inputs else (z_q, p_q)
        L_q = self.neighbour_loss(self.queue.nearest(z_k, ids), p_q)
        L_k = self.neighbour_loss(self.queue.nearest(z_q, ids), p_k if self.symmetric else p_k.detach())
        self.queue.stage(z_q, ids)
        return {'loss': (L_q + L_k) / 2, 'L_query': L_q, 'L_key': L_k}

    def embeddings(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Unit projections and predictions ``(N, D)`` of clips ``(N, M, C, T, V)``."""
        z = self.projector(self.encoder(x))
        return l2_normalize(z), l2_normalize(self.predictor(z))

    def neighbour_loss(self, neighbours: Tensor, predictions: Tensor) -> Tensor:
        """Cross entropy of each neighbour's similarity to the prediction of its clip, against those of all processes.

        Args:
            neighbours, predictions: unit vectors ``(N, D)``.
        """
        with torch.autocast(predictions.device.type, enabled=False):  # as InfoNCE: bfloat16 would blur the similarities
            logits = neighbours.to(predictions) @ gather_with_gradient(predictions).T / self.temperature
        return cross_entropy(logits, own_rows(predictions))

    def embed(self, clips: Any, source: str) -> Tensor:
        """See :meth:`~skeattn.models.Pretraining.embed`."""
        if source == 'projector':
            return self.projector(self.encoder(clips))
        return self.predictor(self.embed(clips, 'projector')) if source == 'predictor' else super().embed(clips, source)

    def paper_vs_release(self) -> PaperVsRelease:
        """See :meth:`~skeattn.models.Pretraining.paper_vs_release`."""
        symmetric = 'paper; in the release one view learns nothing' if self.symmetric else 'as released'
        return {
            'symmetric': (self.symmetric, symmetric),
            **common_choices(self.encoder, self.data_preprocessor),
        }
