"""MAMP: masked motion prediction (Mao et al., ICCV 2023), and its relatives, which differ in the target."""

from typing import Any

import torch
from torch import Tensor, nn

from skeattn.channels import num_coordinates
from skeattn.errors import ConfigError
from skeattn.models.algorithms.base import MomentumPretraining, PaperVsRelease, draw_choices, refuse_several_streams
from skeattn.models.backbones import SkeletonTransformer
from skeattn.models.encoder import Encoder, present_persons
from skeattn.models.momentum import key_copy
from skeattn.models.tokens import (
    in_tubes,
    latent_target,
    least,
    motion,
    motion_aware_noise,
    motion_intensity,
    num_visible,
    patch_normalised,
    patchify,
    take,
    time_normalised,
    tokens_of_tubes,
)
from skeattn.registry import MODELS, NECKS

TARGETS = {
    'motion': 'MAMP',
    'joint': "MAMP's masked autoencoder, with mask='random'",
    'nat': 'NAT; statistics per joint and coordinate are inferred from the paper',
    'latent': 'Skeleton2vec',
}
MASKS = ('motion', 'random')
RELEASED_TAU = {0.8: 'as released for NTU-60 and PKU-MMD', 0.75: 'as released for NTU-120'}


@MODELS.register_module()
class MAMP(MomentumPretraining):
    """A Transformer encodes a tenth of the tokens, and a decoder predicts a target for those that are masked.

    Args:
        backbone: config of E, a :class:`~skeattn.models.backbones.SkeletonTransformer`.
        decoder: config of a :class:`~skeattn.models.necks.TokenDecoder`; its widths and positions follow from E.
        target: what is predicted. ``'motion'``: differences of successive frames, normalised per token (MAMP);
            ``'joint'``: coordinates, normalised per token (the masked autoencoder in MAMP's paper); ``'nat'``:
            coordinates, normalised over time (Rethinking Masked Data Reconstruction, AAAI 2025); ``'latent'``: the
            hidden states of a teacher that reads the whole clip (Skeleton2vec, 2024), an average of the encoder that
            MomentumUpdateHook advances. The other targets have no teacher and need no hook.
        mask: ``'motion'``: tokens that move more are masked more often; ``'random'``: all alike.
        mask_ratio: share of the tokens that are masked.
        tau: temperature of the motion-aware mask.
        tube: successive patches in which a joint is masked or visible together (5 in Skeleton2vec): of their
            intensities the mean counts. The patches of a clip are a multiple.
        data_preprocessor: config of the SkeletonPreprocessor; its view ``query`` has a TokenNoise after
            the operations that change the number of frames.
        persons: ``'all'``, as released: an absent person is a still one, whose target is 0. ``'present'``: absent
            persons are neither encoded nor predicted, and each clip has the mean loss of its persons.
        init_cfg: mmengine initialisation of all weights.

    Raises:
        ConfigError: unknown ``target`` or ``mask``, ``tau`` not above 0, another backbone, or several streams.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        decoder: dict[str, Any] | None = None,
        target: str = 'motion',
        mask: str = 'motion',
        mask_ratio: float = 0.9,
        tau: float = 0.8,
        tube: int = 1,
        data_preprocessor: dict[str, Any] | None = None,
        persons: str = 'all',
        init_cfg: Any = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        if target not in TARGETS or mask not in MASKS:
            raise ConfigError(
                f'model.target={target!r}, model.mask={mask!r}; choose among {", ".join(TARGETS)}, and among '
                f'{", ".join(MASKS)}'
            )
        refuse_several_streams(self)
        if tau <= 0:
            raise ConfigError(f'model.tau={tau} must be above 0; model.mask="random" masks all tokens alike')
        if tube < 1:
            raise ConfigError(f'model.tube={tube} must be at least 1 patch')
        self.target, self.mask, self.mask_ratio, self.tau, self.tube = target, mask, mask_ratio, tau, tube
        self.encoder = Encoder(backbone, persons=persons)
        E = self.encoder.backbone
        if not isinstance(E, SkeletonTransformer):
            raise ConfigError(
                f'model.backbone.type={type(E).__name__!r} has no tokens, of which MAMP masks most; use '
                f'"SkeletonTransformer", or a subclass'
            )
        self.has_key_encoder = target == 'latent'
        self.teacher = key_copy(self.encoder) if self.has_key_encoder else None
        channels = getattr(self.data_preprocessor, 'channels', None)
        self.coordinates = num_coordinates(channels) if channels else E.in_channels
        follows = {
            'in_channels': E.out_channels,
            'out_channels': E.out_channels if target == 'latent' else E.temporal_stride * self.coordinates,
            'num_joints': None if E.names else E.layout.num_joints,
            'layouts': E.names and E.names.layouts,
            'num_patches': None if E.times is None else E.times.shape[1],
        }
        self.decoder = NECKS.build({'type': 'TokenDecoder', **(decoder or {})}, default_args=follows)

    def loss(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """``inputs``: the view ``query`` ``(N, M, C, T, V)``, its ``seen``, and the numbers of its TokenNoise."""
        x, uniform, seen = inputs['query'], inputs['query.uniform'], inputs.get('query.seen')
        if self.encoder.persons == 'all':
            rows = None if seen is None else seen.flatten(0, 1)
            return {'loss': self.person_losses(x.flatten(0, 1), uniform.flatten(0, 1), rows).mean()}
        present = present_persons(x)
        weights = present / present.sum(dim=1, keepdim=True).clamp(min=1) / len(x)
        rows = None if seen is None else seen[present]
        return {'loss': (weights[present] * self.person_losses(x[present], uniform[present], rows)).sum()}

    def person_losses(self, x: Tensor, uniform: Tensor, seen: Tensor | None = None) -> Tensor:
        """Mean squared error of each person's masked tokens.

        Args:
            x: persons ``(B, C, T, V)``.
            uniform: numbers in [0, 1), ``(B, L)``.
            seen: which joints were, bool ``(B, T, V)``; a missing joint has no motion. None if all were.

        Returns:
            ``(B,)``.
        """
        visible = self.visible(x, uniform, seen)
        error = (self.predict(x, visible) - self.target_of(x, seen)).square().mean(dim=2)
        masked = torch.ones_like(error).scatter(1, visible, 0)
        return (error * masked).sum(dim=1) / (error.shape[1] - visible.shape[1])

    def visible(self, x: Tensor, uniform: Tensor, seen: Tensor | None = None) -> Tensor:
        """The tokens that are encoded, indices ``(B, L')``; arguments as of :meth:`person_losses`.

        Raises:
            ConfigError: uniform numbers for another number of tokens, patches that tubes do not divide, or no token is
                visible or none masked.
        """
        patch = self.encoder.backbone.temporal_stride
        patches = patchify(x[:, : self.coordinates], patch)
        L = patches.shape[1]
        if uniform.shape[1] != L:
            raise ConfigError(
                f'the clips have {L} tokens, but TokenNoise in model.data_preprocessor.views.query drew numbers for '
                f'{uniform.shape[1]}: put it behind what changes the frames, with patch={patch}'
            )
        V, tubes = x.shape[3], L // self.tube
        if L // V % self.tube:
            raise ConfigError(
                f'a clip has {L // V} patches, which model.tube={self.tube} does not divide; change the tube, or '
                f'num_frames in dataset.pipeline'
            )
        count = num_visible(tubes, self.mask_ratio)
        if not 0 < count < tubes:
            what = 'tokens' if self.tube == 1 else 'tubes'
            raise ConfigError(f'model.mask_ratio={self.mask_ratio} leaves {count} of {tubes} {what} visible')
        uniform = in_tubes(uniform, self.tube, V)[:, :, 0]
        if self.mask == 'motion':
            marks = None if seen is None else patchify(seen[:, None].to(x).expand(-1, self.coordinates, -1, -1), patch)
            intensity = in_tubes(motion_intensity(patches, V, marks), self.tube, V).mean(dim=2)
            uniform = motion_aware_noise(intensity, uniform, self.tau)
        return tokens_of_tubes(least(uniform, count), self.tube, V)

    def predict(self, x: Tensor, visible: Tensor) -> Tensor:
        """Predictions for all tokens of persons ``(B, C, T, V)`` from the visible ones, ``(B, L, P)``."""
        tokens = self.encoder.backbone.tokens(x[:, None])
        encoded = self.encoder.backbone.encode(take(tokens, visible))
        return self.decoder(encoded, visible, tokens.shape[1])

    def train(self, mode: bool = True) -> 'MAMP':
        """Set the mode of all modules; the teacher stays in evaluation mode, so that a clip has one target."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self

    @torch.no_grad()
    def target_of(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """The target for all tokens, ``(B, L, P)``; arguments as of :meth:`person_losses`."""
        if self.teacher is not None:
            return latent_target(self.teacher.backbone, x)
        x, patch = x[:, : self.coordinates], self.encoder.backbone.temporal_stride
        if self.target == 'nat':
            return patchify(time_normalised(x), patch)
        return patch_normalised(patchify(motion(x, seen) if self.target == 'motion' else x, patch))

    def momentum_pairs(self) -> list[tuple[nn.Module, nn.Module]]:
        """See :meth:`~skeattn.models.algorithms.base.MomentumPretraining.momentum_pairs`."""
        return [] if self.teacher is None else [(self.encoder, self.teacher)]

    def paper_vs_release(self) -> PaperVsRelease:
        """See :meth:`~skeattn.models.algorithms.base.Pretraining.paper_vs_release`."""
        persons = {'all': 'as released', 'present': 'absent persons neither encoded nor predicted'}
        released = {0.15: 'at which Skeleton2vec ends'} if self.target == 'latent' else RELEASED_TAU
        tau = released.get(self.tau, f'custom; released: {" and ".join(map(str, released))}')
        return {
            'target': (self.target, TARGETS[self.target]),
            'mask': (self.mask, f'tau {self.tau}: {tau}' if self.mask == 'motion' else 'all tokens alike'),
            **({'tube': (self.tube, 'Skeleton2vec has tubes of 5')} if self.target == 'latent' else {}),
            'mask_ratio': (
                self.mask_ratio,
                'as released' if self.mask_ratio == 0.9 else 'custom; the release used 0.9',
            ),
            'persons': (self.encoder.persons, persons[self.encoder.persons]),
            **draw_choices(self.data_preprocessor),
        }
