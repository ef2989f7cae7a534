"""The embedded data set: clips of generated motions, no download.

A clip is a function of (seed, number): its subject, camera and class follow from a balanced plan; its length, timing,
posture, view and noise are drawn by a separate generator, independently of the class, so only the motion reveals the
class. ``docs/synthetic.md`` lists the factors and the measured floors.
"""

from skeattn.datasets.synthetic.clips import CLASSES, SPLITS, SyntheticClip, convert, generate
from skeattn.datasets.synthetic.raw import write_skeleton_file

__all__ = ['CLASSES', 'SPLITS', 'SyntheticClip', 'convert', 'generate', 'write_skeleton_file']
