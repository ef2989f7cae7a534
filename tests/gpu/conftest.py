"""Tests of an accelerator; without one they are skipped.

``SKEATTN_TEST_DEVICE=cpu`` runs them on the CPU against itself: what they do is then tested, not what they find.
"""

import os

import pytest
import torch


@pytest.fixture(scope='session')
def device() -> torch.device:
    """The device under test."""
    wanted = os.environ.get('SKEATTN_TEST_DEVICE', 'cuda')
    if wanted == 'cuda' and not torch.cuda.is_available():
        pytest.skip('there is no GPU; SKEATTN_TEST_DEVICE=cpu runs the same test on the CPU')
    return torch.device(wanted)
