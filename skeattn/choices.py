"""Names that a user chooses from, in a module without imports: a command line knows them before torch is loaded.

The modules that implement a choice take its names from here.
"""

from pathlib import Path

STREAMS = ('joint', 'motion', 'bone')
"""Streams of a clip."""
MEAN = 'mean'
READOUTS = (MEAN, 'joints', 'joints+segments')
"""Readouts of a feature map; see :mod:`skeattn.models.readout`."""
MAP_METHODS = ('tsne', 'umap', 'pca')
"""Projections of features onto a plane."""
EQUAL = 'equal'
WEIGHT_SETS = {'aimclr': {'joint': 0.6, 'bone': 0.6, 'motion': 0.4}}
"""Weights of the releases by stream; ``'equal'`` fits any streams."""
RELEASED_TYPES = {
    'skeattnclr': 'SkeAttnCLR',
    'skeletonclr': 'SkeletonCLR',
    'crossclr': 'CrosSCLR',
    'aimclr': 'AimCLR',
    'hiclr': 'HiCLR',
    'skelemixclr': 'SkeleMixCLR',
    'mamp': 'MAMP',
    'stars': 'STARS',
    'recognizer': 'Recognizer',
}
"""Method of a released checkpoint -> class of the toolbox."""
BENCHMARKS = ('views', 'backbones', 'steps', 'extraction', 'knn', 'probes', 'conversion', 'startup', 'scaling')
"""Sections of the benchmark; see :mod:`skeattn.benchmark.report`."""
SET_FORMATS, NETWORK_FORMATS = ('pyskl',), ('onnx', 'torch')
"""What a packed set and a trained network are exported as."""
PROTOCOL_FILES = Path(__file__).resolve().parent / 'protocols' / 'builtin'
"""Settings of evaluators by the name of a protocol."""


def protocol_names() -> list[str]:
    """Names of the built-in protocols."""
    return sorted(path.stem for path in PROTOCOL_FILES.glob('*.py'))
