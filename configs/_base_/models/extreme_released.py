"""Joints exchanged but not mirrored, noise for absent persons, a blur that amplifies."""

extreme = dict(flip=dict(mirror=False), noise=dict(absent=True), blur=dict(normalise=False))
