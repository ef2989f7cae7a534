"""The golden numbers are double precision, so these tests compute in double precision."""

import pytest
import torch


@pytest.fixture(autouse=True)
def double_precision():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)
