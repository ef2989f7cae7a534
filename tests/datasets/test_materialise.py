"""Clips are the same for any number of processes, and so are the errors."""

import os
import sys

import numpy as np
import pytest

from skeattn.datasets import PackedSet, materialise, split
from skeattn.datasets.transforms import Pipeline
from skeattn.datasets.transforms.pipeline import Clip
from skeattn.errors import ConfigError, DataError, SkeAttnError
from skeattn.registry import TRANSFORMS
from tests.datasets.raw import write_set

STEPS = {
    'centre': {'type': 'Centre', 'joint': 'hip', 'reference': 'first'},
    'resample': {'type': 'Resample', 'num_frames': 4},
    'align': {'type': 'AlignView', 'mode': 'body_first'},
    'pack': {'type': 'PackClip', 'num_persons': 2},
}
PARENT = os.getpid()
pytestmark = pytest.mark.skipif(sys.platform != 'linux', reason='elsewhere one process prepares the clips')


@TRANSFORMS.register_module()
class _SpoilFrom:
    """Makes the clips ``c<number>`` infinite from a number on."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, results: Clip) -> Clip:
        bad = int(results['name'][1:]) >= self.number
        return {**results, 'keypoint': results['keypoint'] * np.inf} if bad else results


@TRANSFORMS.register_module()
class _Die:
    def __call__(self, results: Clip) -> Clip:
        if os.getpid() != PARENT and results['name'] == 'c9':
            os._exit(9)
        return results


@pytest.fixture
def packed(tmp_path, monkeypatch) -> PackedSet:
    monkeypatch.setattr(materialise, 'CHUNK', 3)
    return PackedSet.open(write_set(tmp_path / 'toy', clips=30))


@pytest.mark.parametrize('jobs', [2, 3])
def test_clips_are_bit_identical(packed, jobs):
    chosen = split(packed, 'xsub')[0]
    alone = materialise.materialise(packed, chosen, Pipeline(STEPS), jobs=1)
    many = materialise.materialise(packed, chosen, Pipeline(STEPS), jobs=jobs)
    assert many.shape == (15, 3, 4, 20, 2) and many.dtype == np.float32
    assert many.tobytes() == alone.tobytes()
    for row, i in enumerate(chosen):
        np.testing.assert_array_equal(many[row], materialise.run(packed, i, Pipeline(STEPS)))


@pytest.mark.parametrize('jobs', [1, 2])
def test_the_first_unusable_clip_is_named(packed, jobs):
    steps = Pipeline({'spoil': {'type': '_SpoilFrom', 'number': 7}, **STEPS})
    with pytest.raises(DataError, match="c7: infinite coordinate before the step 'centre' of the pipeline"):
        materialise.materialise(packed, np.arange(30), steps, jobs)
    steps = Pipeline({**STEPS, 'resample': None})
    with pytest.raises(DataError, match=r'c1: shape \(3, 5, 20, 2\) .* a Resample or PadFrames step'):
        materialise.materialise(packed, np.arange(30), steps, jobs)
    with pytest.raises(ConfigError, match='must end with a PackClip step'):
        materialise.materialise(packed, np.arange(30), Pipeline({}), jobs)


def test_a_killed_process_is_an_error(packed):
    with pytest.raises(SkeAttnError, match='a process that prepared clips was killed'):
        materialise.materialise(packed, np.arange(30), Pipeline({'die': {'type': '_Die'}, **STEPS}), jobs=2)


def test_a_process_needs_thousands_of_clips_to_pay():
    assert materialise._cores(1000) == 1
    assert materialise._cores(10**7) == len(os.sched_getaffinity(0))
