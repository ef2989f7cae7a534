from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn

from skeattn.errors import ConfigError, NonFiniteError
from skeattn.evaluation import Features, calibrate_bn, extract_features, raw_features
from skeattn.evaluation.features import hold_out
from tests.distributed.launching import two_processes
from tests.evaluation.standins import Encoder, blobs, clip_set


def test_features_equal_one_eval_pass_whatever_the_batch_size() -> None:
    model, dataset = Encoder(), clip_set(11)
    model.eval()
    with torch.no_grad():
        expected = model.features({'inputs': dataset.clips})
    model.train()
    for batch_size in (1, 4, 11, 100):
        features = extract_features(model, dataset, batch_size)
        torch.testing.assert_close(features.x, expected)
        assert features.x.dtype == torch.float32 and not features.x.requires_grad
    assert features.labels.tolist() == dataset.labels.tolist()
    assert features.subjects.tolist() == dataset.subjects.tolist()
    assert features.names == dataset.names


def test_features_are_encoded_in_bfloat16_where_asked() -> None:
    model, dataset = Encoder(), clip_set(4)
    seen = []
    inside = model.features
    model.features = lambda *args, **kwargs: seen.append(torch.is_autocast_enabled('cpu')) or inside(*args, **kwargs)
    exact, rough = (extract_features(model, dataset, autocast=autocast).x for autocast in (False, True))
    assert seen == [False, True] and rough.dtype == torch.float32
    torch.testing.assert_close(rough, exact, atol=0.05, rtol=0.02)


class Batch(torch.Tensor):
    """A tensor that reports its way to the device."""

    def pin_memory(self) -> torch.Tensor:
        self.way = ['pinned']
        return self

    def to(self, device: torch.device, non_blocking: bool = False) -> torch.Tensor:
        self.way.append(f'{device}, {non_blocking=}')
        return self


def test_source_reaches_the_model() -> None:
    model, dataset = Encoder(), clip_set()
    backbone, projector = (extract_features(model, dataset, source=s).x for s in ('backbone', 'projector'))
    assert torch.equal(projector, -backbone)


def test_extraction_leaves_flags_statistics_and_random_state_as_they_were() -> None:
    model, dataset = Encoder(), clip_set()
    model.train()
    model.unused.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    flags = {name: module.training for name, module in model.named_modules()}
    state = torch.get_rng_state()
    extract_features(model, dataset, 4)
    assert {name: module.training for name, module in model.named_modules()} == flags
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_flags_are_restored_after_a_failure() -> None:
    model, dataset = Encoder(channels=2), clip_set()
    with pytest.raises(RuntimeError):
        extract_features(model, dataset)
    assert model.training and model.drop.training and torch.is_grad_enabled()


def test_a_clip_with_nan_is_named() -> None:
    dataset = clip_set(6)
    dataset.clips[4, 0, 0] = float('nan')
    with pytest.raises(NonFiniteError, match=r'1 of 6 clips.*clip4'):
        extract_features(Encoder(), dataset)
    with pytest.raises(NonFiniteError, match='clip4'):
        raw_features(dataset)


def test_raw_features_are_the_flattened_clips() -> None:
    dataset = clip_set(5)
    assert torch.equal(raw_features(dataset).x, dataset.clips.reshape(5, -1))


def test_calibration_finds_the_mean_and_variance_of_the_set() -> None:
    model, dataset = Encoder(), clip_set(64)
    model.bn.running_mean.fill_(9.0)
    model.train()
    calibrate_bn(model, dataset, batch_size=64)
    with torch.no_grad():
        x = model.fc(dataset.clips.mean(dim=(2, 3, 4)))
    torch.testing.assert_close(model.bn.running_mean, x.mean(0))
    torch.testing.assert_close(model.bn.running_var, x.var(0))
    assert model.bn.momentum == 0.1 and model.training


def test_calibration_averages_near_equal_batches_and_leaves_unused_layers_alone() -> None:
    model, dataset = Encoder(), clip_set(50)
    model.unused.running_mean.fill_(5.0)
    calibrate_bn(model, dataset, batch_size=49)  # two batches of 25, not 49 and 1
    with torch.no_grad():
        x = model.fc(dataset.clips.mean(dim=(2, 3, 4)))
    torch.testing.assert_close(model.bn.running_mean, x.mean(0))
    assert torch.equal(model.unused.running_mean, torch.full((4,), 5.0))


def test_held_out_clips_are_whole_subjects() -> None:
    bank = blobs(10, seed=0, subjects=5)
    parts = hold_out(bank, 0.2)
    assert parts is not None
    rest, held = parts
    assert len(set(held.subjects.tolist())) == 1 and len(rest) + len(held) == len(bank)
    assert not set(held.subjects.tolist()) & set(rest.subjects.tolist())
    i = bank.names.index(held.names[0])
    assert torch.equal(bank.x[i], held.x[0]) and bank.labels[i] == held.labels[0]


@pytest.mark.parametrize('subjects', [[1, 1, 1], [-1, -1, -1], [1, 2, -1]])
def test_nothing_is_held_out_without_known_subjects(subjects: list[int]) -> None:
    assert hold_out(Features(torch.ones(3, 2), torch.zeros(3).long(), torch.tensor(subjects), ['a', 'b', 'c'])) is None


SIZES = (7, 1)


def extract(out: Path) -> None:
    dist.init_process_group('gloo')
    torch.manual_seed(0)
    model = nn.parallel.DistributedDataParallel(Encoder())
    features = [extract_features(model, clip_set(N), batch_size=2) for N in SIZES]
    torch.save([(f.x, f.names) for f in features], out / f'{dist.get_rank()}.pt')


@pytest.mark.slow
def test_every_process_gets_the_whole_in_order(tmp_path: Path) -> None:
    """7 clips on 2 processes leave the second a shorter slice, 1 clip leaves it none."""
    two_processes(extract, tmp_path)
    torch.manual_seed(0)
    model = Encoder()
    for N, *ranks in zip(SIZES, *(torch.load(tmp_path / f'{r}.pt', weights_only=True) for r in (0, 1)), strict=True):
        expected = extract_features(model, clip_set(N))
        for x, names in ranks:
            torch.testing.assert_close(x, expected.x)
            assert names == expected.names


def test_raw_coordinates_have_readouts_that_leave_absent_persons_out() -> None:
    dataset = clip_set(3)
    alone = dataset.clips
    dataset.clips = torch.cat([alone, torch.zeros_like(alone)], dim=4)
    by_joint = raw_features(dataset, 'joints').x
    torch.testing.assert_close(by_joint, alone[..., 0].mean(dim=2).transpose(1, 2).flatten(1))
    assert raw_features(dataset, 'joints+segments').x.shape == (3, (2 + 4) * 3)
    assert torch.equal(raw_features(dataset, 'mean').x, dataset.clips.flatten(1))
    with pytest.raises(ConfigError, match="unknown readout 'parts'"):
        raw_features(dataset, 'parts')


def test_a_readout_reaches_the_model_as_part_of_its_source() -> None:
    class Sources(Encoder):
        def features(self, data: dict, source: str = 'backbone') -> torch.Tensor:
            asked.append(source)
            return super().features(data)

    asked: list[str] = []
    for options in ({}, {'readout': 'mean'}, {'readout': 'joints'}, {'source': 'x@joints', 'readout': 'mean'}):
        extract_features(Sources(), clip_set(2), **options)
    assert asked == ['backbone', 'backbone', 'backbone@joints', 'x@joints']
