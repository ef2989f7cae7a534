"""The deterministic pipeline that turns a stored clip into one array of fixed shape."""

from skeattn.datasets.missing import present
from skeattn.datasets.transforms.align import AlignView
from skeattn.datasets.transforms.centre import Centre
from skeattn.datasets.transforms.gaps import FillGaps, TrimEmpty
from skeattn.datasets.transforms.layout import ToLayout
from skeattn.datasets.transforms.lose import LoseJoints
from skeattn.datasets.transforms.pack import PackClip
from skeattn.datasets.transforms.pad import PadFrames, Window
from skeattn.datasets.transforms.pipeline import Clip, Pipeline
from skeattn.datasets.transforms.resample import Resample
from skeattn.datasets.transforms.scale import ScaleBody

__all__ = [
    'AlignView',
    'Centre',
    'Clip',
    'FillGaps',
    'LoseJoints',
    'PackClip',
    'PadFrames',
    'Pipeline',
    'Resample',
    'ScaleBody',
    'ToLayout',
    'TrimEmpty',
    'Window',
    'present',
]
