"""Raw coordinates of published sets as features: hip-centred at a few frames, split by camera or by subject."""

import functools
import io
import re
import zipfile

import numpy as np
import torch
from scipy.io import loadmat

from skeattn.datasets.converters.nwucla import parse
from skeattn.evaluation import Features
from tests.conftest import shared_path

FRAMES = 8


def flat(clip: np.ndarray, hip: int) -> torch.Tensor:
    """A clip (T, V, 3) as one vector."""
    clip = clip[np.linspace(0, len(clip) - 1, FRAMES).round().astype(int)]
    return torch.tensor(clip - clip[:, hip : hip + 1], dtype=torch.float32).flatten()


def parts(rows: list[tuple[torch.Tensor, int, int, str]], test: list[bool]) -> tuple[Features, Features]:
    x, labels, subjects, names = zip(*rows, strict=True)
    whole, held = Features(torch.stack(x), torch.tensor(labels), torch.tensor(subjects), [*names]), torch.tensor(test)
    return whole.select(torch.nonzero(~held)[:, 0]), whole.select(torch.nonzero(held)[:, 0])


@functools.cache
def nwucla() -> tuple[Features, Features]:
    """Northwestern-UCLA, cameras 1 and 2 against 3: more clips than features."""
    rows, test = [], []
    with zipfile.ZipFile(shared_path('data/nw_ucla.zip')) as archive:
        for file in sorted(file for file in archive.namelist() if file.endswith('.json')):
            name, keypoint, columns = parse(file, archive.read(file))
            rows.append((flat(keypoint[0], 0), columns['label'], columns['subject'], name))
            test.append(columns['camera'] == 3)
    return parts(rows, test)


@functools.cache
def utdmhad() -> tuple[Features, Features]:
    """UTD-MHAD, odd subjects against even ones: more features than clips."""
    rows, test = [], []
    with zipfile.ZipFile(shared_path('data/utd_mhad.zip')) as archive:
        for name in sorted(name for name in archive.namelist() if name.endswith('.mat')):
            action, subject = map(int, re.search(r'a(\d+)_s(\d+)', name).groups())
            clip = loadmat(io.BytesIO(archive.read(name)))['d_skel'].transpose(2, 0, 1)
            rows.append((flat(clip, 3), action - 1, subject, name))
            test.append(subject % 2 == 0)
    return parts(rows, test)
