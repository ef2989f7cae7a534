"""One module per source format, each with ``convert(source, out, ...)``."""

from skeattn.datasets.converters import (
    alphapose,
    ctrgcn,
    kinetics,
    mediapipe,
    ntu,
    nwucla,
    openpose,
    pkummd,
    plain,
    pyskl,
    stgcn_arrays,
    utdmhad,
)

__all__ = [
    'alphapose',
    'ctrgcn',
    'kinetics',
    'mediapipe',
    'ntu',
    'nwucla',
    'openpose',
    'pkummd',
    'plain',
    'pyskl',
    'stgcn_arrays',
    'utdmhad',
]
