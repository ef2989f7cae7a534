"""Readouts against their definitions, written as loops, and the sources that name them."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skeattn.errors import ConfigError
from skeattn.models import Recognizer, SkeletonCLR
from skeattn.models.encoder import FeatureMap
from skeattn.models.readout import READOUTS, split_source, with_readout
from tests.models.tiny import NORMAL_VIEWS, build, crossclr

FRAMES = {1: [(0, 1)] * 4, 3: [(0, 1), (0, 2), (1, 3), (2, 3)], 4: [(0, 1), (1, 2), (2, 3), (3, 4)],
          6: [(0, 2), (1, 3), (3, 5), (4, 6)], 8: [(0, 2), (2, 4), (4, 6), (6, 8)]}  # fmt: skip
"""Rows of a map -> first and last (exclusive) row of each segment."""


def feature_map(T: int, V: int, M: int = 2, pooling: str = 'mean', absent: bool = False) -> FeatureMap:
    persons = torch.tensor([[1.0, 0.0], [0.25, 0.75]])[:, :M] if absent else torch.full((2, M), 1 / M)
    values = torch.randn(2, M, 3, T, V, dtype=torch.float64, generator=torch.Generator().manual_seed(T + V))
    return FeatureMap(values, persons, pooling)


def expected(F: FeatureMap, frames: range, joints: range, n: int, c: int) -> float:
    return sum(
        F.persons[n, m].item() * F.values[n, m, c, t, v].item() / len(frames) / len(joints)
        for m in range(F.values.shape[1])
        for t in frames
        for v in joints
    )


@given(
    st.sampled_from(sorted(FRAMES)),
    st.integers(1, 3),
    st.integers(1, 2),
    st.booleans(),
    st.sampled_from(['mean', 'last']),
)
def test_each_value_is_the_mean_that_its_place_stands_for(T: int, V: int, M: int, absent: bool, pooling: str) -> None:
    F = feature_map(T, V, M, pooling, absent)
    frames = range(T) if pooling == 'mean' else range(T - 1, T)
    for n in range(2):
        joints = [expected(F, frames, range(v, v + 1), n, c) for v in range(V) for c in range(3)]
        segments = [expected(F, range(*bounds), range(V), n, c) for bounds in FRAMES[T] for c in range(3)]
        mean = [expected(F, frames, range(V), n, c) for c in range(3)]
        for readout, values in (('mean', mean), ('joints', joints), ('joints+segments', joints + segments)):
            assert READOUTS[readout](F)[n].tolist() == pytest.approx(values, abs=1e-12)


def test_the_mean_is_the_pooled_map_bit_for_bit() -> None:
    F = feature_map(6, 5)
    assert torch.equal(READOUTS['mean'](F), F.pool())


def test_a_source_names_its_readout() -> None:
    assert split_source('backbone') == ('backbone', 'mean')
    assert split_source('joint/backbone@joints+segments') == ('joint/backbone', 'joints+segments')
    assert with_readout('backbone', None) == with_readout('backbone', 'mean') == 'backbone'
    assert with_readout('backbone', 'joints') == with_readout('backbone@joints', 'mean') == 'backbone@joints'
    assert with_readout('raw@mean', 'joints') == 'raw'
    for wrong in (lambda: split_source('backbone@joint'), lambda: with_readout('backbone', 'joint')):
        with pytest.raises(ConfigError, match=r"unknown readout 'joint'.*joints"):
            wrong()


def test_a_method_reads_out_its_map_and_nothing_else() -> None:
    model, x = build(SkeletonCLR, NORMAL_VIEWS).eval(), torch.randn(2, 2, 3, 16, 25)
    F = model.encoder.map(x)
    for readout, width in (('mean', 16), ('joints', 25 * 16), ('joints+segments', 29 * 16)):
        features = model.embed(x, with_readout('backbone', readout))
        assert features.shape == (2, width) and torch.equal(features, READOUTS[readout](F))
    with pytest.raises(ConfigError, match="readout='joints' cannot read 'projector' features"):
        model.embed(x, 'projector@joints')


def test_streams_are_read_out_one_by_one() -> None:
    model = crossclr().eval()
    clips = {stream: torch.randn(2, 2, 3, 16, 25) for stream in model.members}
    whole = model.embed(clips, 'backbone@joints')
    parts = [model.embed(clips, f'{stream}/backbone@joints') for stream in clips]
    assert torch.equal(whole, torch.cat(parts, dim=1)) and parts[0].shape == (2, 25 * 16)
    assert (model.feature_streams('backbone@joints'), model.feature_streams('bone/backbone@joints')) == (3, 1)


def test_an_encoder_without_joint_axis_has_frames_and_segments_only() -> None:
    backbone = dict(type='BIGRU', layout='ntu25', hidden_channels=4, num_layers=1)
    model, x = build(SkeletonCLR, NORMAL_VIEWS, backbone=backbone).eval(), torch.randn(2, 2, 3, 16, 25)
    mean = model.embed(x, 'backbone')
    torch.testing.assert_close(model.embed(x, 'backbone@joints'), mean)
    whole = model.embed(x, 'backbone@joints+segments').unflatten(1, (5, -1))
    torch.testing.assert_close(whole[:, 0], mean)
    torch.testing.assert_close(whole[:, 1:].mean(dim=1), mean)  # 16 rows: segments of equal length


def test_a_classifier_has_readouts_of_its_map_but_not_of_its_logits() -> None:
    backbone = dict(type='STGCN', layout='ntu25', base_channels=4, out_channels=8)
    preprocessor = dict(type='SkeletonPreprocessor', layout='ntu25', views=dict(query=dict()))
    head = dict(type='LinearHead', num_classes=3)
    model = Recognizer(backbone, head=head, data_preprocessor=preprocessor).eval()
    x = torch.randn(2, 1, 3, 8, 25)
    assert torch.equal(model.embed(x, 'backbone@joints'), READOUTS['joints'](model.encoder.map(x)))
    with pytest.raises(ConfigError, match="cannot read 'logits' features"):
        model.embed(x, 'logits@joints')
