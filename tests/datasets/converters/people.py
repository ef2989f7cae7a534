"""Several persons side by side."""

import numpy as np

from tests.datasets.raw import clip

T, V = 12, 20


def people(*places, sway=(0.0, 0.0, 0.0, 0.0), frames=T):
    """Persons ``(M, T, V, 3)`` of height 1 who stand at x = places and sway."""
    body = clip(1, 1, 1, V)[0, 0] - 0.5
    body[:, 1] = np.linspace(0, 1, V)
    body[:, 0] *= 0.2
    wave = np.sin(np.arange(frames))[:, None]
    rows = []
    for x, swing in zip(places, sway, strict=False):
        person = np.repeat(body[None], frames, axis=0)
        person[..., 0] += x + swing * wave
        rows.append(person)
    return np.stack(rows).astype(np.float32)
