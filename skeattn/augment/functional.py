"""Batched maths on clips of shape ``(N, C, T, V, M)``: no randomness, no state, any device, differentiable."""

from functools import lru_cache

import torch
from torch import Tensor

from skeattn import choices
from skeattn.errors import ConfigError
from skeattn.skeletons import SkeletonLayout

STREAMS = choices.STREAMS


def crop(x: Tensor, start: Tensor, padding: int) -> Tensor:
    """Shift in time: mirror ``padding`` frames at both ends, then keep T frames from ``start``.

    The mirrored copies repeat the edge frame. ``start == padding`` returns the clip itself.

    Args:
        x: clips ``(N, C, T, V, M)``.
        start: first frame kept, in the padded clip, ``(N,)`` integers in ``[0, 2 * padding]``.
        padding: mirrored frames at each end, at most T.
    """
    N, C, T = x.shape[:3]
    frame = start[:, None] - padding + torch.arange(T, device=x.device)
    frame = torch.where(frame < 0, -1 - frame, frame)
    frame = torch.where(frame >= T, 2 * T - 1 - frame, frame)
    rows = torch.arange(0, N * C * T, T, device=x.device).view(N, C, 1) + frame[:, None]
    return x.flatten(0, 2).index_select(0, rows.flatten()).view_as(x)  # frame by frame; gather copies value by value


def frames_at(x: Tensor, position: Tensor, solid: Tensor | None = None) -> Tensor:
    """Clips at fractional positions in time, by linear interpolation between the two neighbouring frames.

    Args:
        x: clips ``(N, C, T, V, M)``.
        position: ``(N, T')``, in ``[0, T - 1]``.
        solid: bool, broadcastable to ``(N, 1, T, V, M)``: between frames that are not both solid the nearer one is
            taken.

    Returns:
        ``(N, C, T', V, M)``.
    """
    before, after = position.floor().long(), position.ceil().long()
    weight = (position - before).to(x.dtype)[:, None, :, None, None]
    blend = torch.lerp(_frames(x, before), _frames(x, after), weight)
    if solid is None:
        return blend
    between = _frames(solid, before) & _frames(solid, after)
    return torch.where(between, blend, _frames(x, (position + 0.5).long()))


def _frames(x: Tensor, frame: Tensor) -> Tensor:
    clip = torch.arange(len(x), device=x.device)[:, None]
    return x.transpose(1, 2)[clip, frame].transpose(1, 2)


def linear_map(x: Tensor, A: Tensor) -> Tensor:
    """``x' = A x`` on the coordinate axis; ``A`` is ``(N, 3, 3)``, one matrix per clip.

    A 2-D skeleton lies in the plane z = 0; it is transformed in space and projected along z.
    """
    C = x.shape[1]
    return torch.einsum('nij,njtvm->nitvm', A[:, :C, :C].to(x.dtype), x)


def shear_matrix(s: Tensor) -> Tensor:
    """Shear matrices ``(N, 3, 3)`` with ones on the diagonal from six factors ``(N, 6)``.

    The first three factors fill column 1, 0, 0 of rows 0, 1, 2, the last three column 2, 2, 1.
    """
    one = torch.ones_like(s[:, 0])
    rows = (one, s[:, 0], s[:, 3], s[:, 1], one, s[:, 4], s[:, 2], s[:, 5], one)
    return torch.stack(rows, dim=1).view(-1, 3, 3)


def rotation_matrix(angles: Tensor) -> Tensor:
    """Rotations ``(N, 3, 3)`` about x, then y, then z by ``angles`` ``(N, 3)`` in radians.

    The sense of rotation is AimCLR's: about x ``y' = y cos + z sin``, about y ``x' = x cos - z sin``, about z
    ``x' = x cos + y sin``.
    """
    one, zero = torch.ones_like(angles[:, 0]), torch.zeros_like(angles[:, 0])
    (cx, cy, cz), (sx, sy, sz) = angles.cos().unbind(1), angles.sin().unbind(1)
    about_x = (one, zero, zero, zero, cx, sx, zero, -sx, cx)
    about_y = (cy, zero, -sy, zero, one, zero, sy, zero, cy)
    about_z = (cz, sz, zero, -sz, cz, zero, zero, zero, one)
    X, Y, Z = (torch.stack(entries, dim=1).view(-1, 3, 3) for entries in (about_x, about_y, about_z))
    return Z @ Y @ X


def spatial_flip(x: Tensor, order: Tensor, mirror: bool) -> Tensor:
    """Joint j becomes joint ``order[j]``, ``(N, V)``; with ``mirror`` the x axis also changes its sign."""
    exchanged = x.gather(3, order[:, None, None, :, None].expand_as(x))
    return torch.cat([-exchanged[:, :1], exchanged[:, 1:]], dim=1) if mirror else exchanged


def bone_scaling(factors: Tensor, layout: SkeletonLayout) -> Tensor:
    """Weights of the joints of a body whose bones are scaled and whose joints are rebuilt from the root.

    Args:
        factors: of the bone that ends in each joint, ``(N, V)``; that of the root has no effect.
        layout: the skeleton.

    Returns:
        ``(N, V, V)`` for :func:`blend_joints`.
    """
    eye = torch.eye(layout.num_joints, dtype=factors.dtype, device=factors.device)
    root, bones = layout.root, eye - eye[list(layout.parents)]
    bones[root] = eye[root]
    factors = torch.where(eye[root] > 0, 1, factors)
    return torch.linalg.inv(bones) @ (factors[:, :, None] * bones)


def blend_joints(x: Tensor, weights: Tensor) -> Tensor:
    """Joint v of the result is the sum over w of ``weights[n, v, w]`` ``(N, V, V)`` times joint w of clip n."""
    return torch.einsum('nvw,nctwm->nctvm', weights.to(x.dtype), x)


def blur_weights(sigma: Tensor, frames: int, taps: int) -> Tensor:
    """``exp(-(t - s)^2 / 2 sigma^2)`` for frames t, s at a distance of less than half of ``taps``, else 0.

    Args:
        sigma: standard deviations in frames, ``(N,)``.
        frames: T.
        taps: odd.

    Returns:
        ``(N, T, T)``, of sigma's type.
    """
    frame = torch.arange(frames, device=sigma.device)
    distance = frame[:, None] - frame
    weights = torch.exp(-(distance**2) / (2 * sigma[:, None, None] ** 2))
    return weights.masked_fill(distance.abs() > taps // 2, 0)


def blend_frames(x: Tensor, weights: Tensor) -> Tensor:
    """Frame t of the result is the sum over s of ``weights[n, t, s]`` ``(N, T, T)`` times frame s of clip n."""
    return torch.einsum('nts,ncsvm->nctvm', weights.to(x.dtype), x)


def frame_motion(x: Tensor, coordinates: int, absent: bool) -> Tensor:
    """Mean squared difference of each frame to the next, over coordinates, joints and persons; 0 in the last frame.

    Args:
        x: clips ``(N, C, T, V, M)``.
        coordinates: number of leading channels that are compared.
        absent: whether a joint that is zero in one of the two frames counts, too.

    Returns:
        ``(N, T)``.
    """
    squares = torch.diff(x[:, :coordinates], dim=2).square()
    if not absent:
        seen = x.ne(0).any(dim=1, keepdim=True)
        squares = squares.masked_fill(~(seen[:, :, 1:] & seen[:, :, :-1]), 0)
    motion = squares.mean(dim=(1, 3, 4))
    return torch.cat([motion, torch.zeros_like(motion[:, :1])], dim=1)


def stillest(motion: Tensor, count: int) -> Tensor:
    """The ``count`` frames with the least motion ``(N, T)``, ascending, ``(N, count)``; of equal ones the earlier."""
    return motion.argsort(dim=1, stable=True)[:, :count].sort(dim=1).values


def present(x: Tensor) -> Tensor:
    """Which persons are present, that is, not zero everywhere: bool ``(N, 1, 1, 1, M)``."""
    return x.abs().sum(dim=(1, 2, 3), keepdim=True) != 0  # takes a fifth of the time of any() on the CPU


def present_frames(x: Tensor) -> Tensor:
    """In which frames each person is present: bool ``(N, 1, T, 1, M)``."""
    return x.abs().amax(dim=(1, 3), keepdim=True) > 0


def adain(content: Tensor, style: Tensor, over: tuple[int, ...], eps: float = 1e-5) -> Tensor:
    """``sigma_s (c - mu_c) / sigma_c + mu_s`` (adaptive instance normalisation; SkeleAdaIN in HiCLR).

    ``sigma`` is the root of the population variance plus ``eps``. Persons absent in either clip keep their content.

    Args:
        content, style: ``(N, C, T, V, M)``.
        over: axes of the statistics.
    """
    mu_c, mu_s = content.mean(over, keepdim=True), style.mean(over, keepdim=True)
    centred = content - mu_c
    sigma_c, sigma_s = ((c.square().mean(over, keepdim=True) + eps).sqrt() for c in (centred, style - mu_s))
    styled = sigma_s / sigma_c * centred + mu_s
    return torch.where(present(content) & present(style), styled, content)


def mix_mask(joints: Tensor, first_unit: Tensor, num_units: Tensor, units: int) -> Tensor:
    """The (unit, joint) cells that SkeleMix pastes: some joints during a span of units.

    Args:
        joints: bool ``(N, V)``.
        first_unit, num_units: the span, integers ``(N,)``.
        units: number of units in the clip.

    Returns:
        bool ``(N, units, V)``.
    """
    unit = torch.arange(units, device=joints.device)
    span = (unit >= first_unit[:, None]) & (unit < (first_unit + num_units)[:, None])
    return span[:, :, None] & joints[:, None, :]


def paste(x: Tensor, partner: Tensor, mask: Tensor, unit_frames: int) -> Tensor:
    """Replace the masked cells of ``x`` by those of ``partner``: all coordinates, both persons, no blending.

    Args:
        x, partner: ``(N, C, T, V, M)``.
        mask: bool ``(N, units, V)``.
        unit_frames: frames per unit.
    """
    frames = mask.repeat_interleave(unit_frames, dim=1)[:, : x.shape[2]]
    return torch.where(frames[:, None, :, :, None], partner, x)


def seen_in_stream(seen: Tensor, stream: str, layout: SkeletonLayout) -> Tensor:
    """Where a stream is computed from joints that were seen: bool like ``seen`` ``(N, 1, T, V, M)``.

    A motion needs the joint in this frame and the next, a bone the joint and its parent.
    """
    if stream == 'motion':
        return seen & torch.cat([seen[:, :, 1:], seen[:, :, -1:]], dim=2)
    return seen & _at_parents(seen, layout) if stream == 'bone' else seen


def derive_stream(x: Tensor, stream: str, layout: SkeletonLayout) -> Tensor:
    """Joint, motion or bone stream of joint coordinates ``(N, C, T, V, M)``.

    motion: next frame minus this one, the last frame 0. bone: joint minus its parent, the root 0.

    Raises:
        ConfigError: unknown stream, or the clip's joint count is not the layout's.
    """
    if stream not in STREAMS:
        raise ConfigError(f'stream={stream!r} is unknown; choose one of {", ".join(STREAMS)}')
    if x.shape[3] != layout.num_joints:
        raise ConfigError(f'clips have {x.shape[3]} joints, layout {layout.name!r} has {layout.num_joints}')
    if stream == 'motion':
        return torch.diff(x, dim=2, append=x[:, :, -1:])
    if stream == 'bone':
        return x - _at_parents(x, layout)
    return x


def _at_parents(x: Tensor, layout: SkeletonLayout) -> Tensor:
    """The parent of each joint in place of the joint, ``(N, C, T, V, M)``."""
    return x[:, :, :, _index(layout.parents, x.device)]


@lru_cache
def _index(places: tuple[int, ...], device: torch.device) -> Tensor:
    """An index on a device: a list would be copied there, and waited for, at every use."""
    with torch.inference_mode(False):  # it is used again in training
        return torch.tensor(places, device=device)
