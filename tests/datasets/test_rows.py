"""Where batches are put together."""

import pytest
import torch

from skeattn.datasets import SkeletonDataset, rows
from skeattn.datasets.native import NativeClips
from skeattn.datasets.rows import Rows
from skeattn.errors import ConfigError
from tests.datasets.raw import write_set

META = torch.device('meta')


@pytest.fixture
def free(monkeypatch):
    """Sets the free memory of the accelerator."""
    return lambda size: monkeypatch.setattr(torch.cuda, 'mem_get_info', lambda device: (size, 2 * size))


@pytest.fixture
def clips(tmp_path):
    """Builds the data set."""
    data = write_set(tmp_path / 'toy')
    steps = {'resample': {'type': 'Resample', 'num_frames': 4}, 'pack': {'type': 'PackClip', 'num_persons': 2}}
    return lambda **kwargs: SkeletonDataset(data, 'xsub', 'train', steps, **kwargs)


def test_clips_that_fit_are_handed_out_on_the_accelerator(clips, free):
    dataset = clips()
    nbytes = dataset.clips.nbytes + dataset.labels.nbytes
    host = dataset.__getitems__([2, 1])
    free(2 * nbytes - 1)
    dataset.reside(META)
    assert dataset.__getitems__([2, 1])['inputs'].device.type == 'cpu'
    free(2 * nbytes)
    dataset.reside(META)
    batch = dataset.__getitems__([2, 1])
    assert {value.device.type for value in batch.values()} == {'meta'}
    assert {key: value.shape for key, value in batch.items()} == {key: value.shape for key, value in host.items()}
    assert dataset.clips.device.type == 'cpu'
    dataset.reside(torch.device('cpu'))
    assert all(torch.equal(value, host[key]) for key, value in dataset.__getitems__([2, 1]).items())


def test_a_forked_process_reads_host_memory(clips, free, monkeypatch):
    dataset = clips()
    free(2**40)
    dataset.reside(META)
    monkeypatch.setattr('skeattn.datasets.skeleton_dataset.get_worker_info', lambda: object())
    assert dataset.__getitems__([0])['inputs'].device.type == 'cpu'


def test_the_device_cpu_stays_in_host_memory_and_others_are_refused(clips, free):
    dataset = clips(device='cpu')
    free(2**40)
    dataset.reside(META)
    assert dataset.__getitems__([0])['inputs'].device.type == 'cpu'
    with pytest.raises(ConfigError, match=r"dataset\.device='cuda:1'"):
        clips(device='cuda:1')


def test_all_tensors_count_and_move():
    frames, lost = torch.randn(9, 3, 5, 2), torch.rand(9, 5, 2) > 0.5
    native = NativeClips(frames, torch.tensor([[0, 4], [4, 5]]), lost)
    all_rows = Rows(torch.randn(2, 3, 4, 5, 2), torch.tensor([0, 1]), torch.zeros(2, 4, 5, 2, dtype=torch.bool), native)
    assert all_rows.nbytes == 4 * 240 + 16 + 80 + 4 * 270 + 90
    there = all_rows.to(META).take(torch.tensor([1, 0]))
    assert {key for key, value in there.items() if value.device.type == 'cpu'} == {'frames'}
    here = all_rows.take(torch.tensor([1, 0]))
    assert {key: value.shape for key, value in there.items()} == {key: value.shape for key, value in here.items()}
    assert torch.equal(here['native'][0], frames[4:].transpose(0, 1)) and torch.equal(
        here['native_missing'][1, :4], lost[:4]
    )
    assert not here['native'][1, :, 4].any() and not here['native_missing'][1, 4].any()


def test_half_of_the_free_memory_is_for_clips():
    assert rows.SHARE == 0.5
