"""Classifiers inside exported graphs predict what they predict outside."""

import json

import numpy as np
import onnxruntime
import pytest
import torch

from skeattn.deployment import DeployedNetwork, FewShotHead, ProbeHead, export_network
from skeattn.evaluation.features import Features
from skeattn.evaluation.few_shot import FewShotProbe, fit_few_shot
from skeattn.evaluation.trained_probe import TrainedProbe
from skeattn.registry import MODELS


def model(stream: str = 'joint') -> torch.nn.Module:
    """An untrained network of a few layers."""
    torch.manual_seed(0)
    built = MODELS.build(
        dict(
            type='Recognizer',
            backbone=dict(type='SkeletonTransformer', layout='ntu25', out_channels=16, depth=1, num_heads=2),
            head=dict(type='LinearHead', num_classes=5),
            data_preprocessor=dict(type='SkeletonPreprocessor', layout='ntu25', stream=stream),
        )
    ).eval()
    pipeline = {'resample': {'type': 'Resample', 'num_frames': 16}, 'pack': {'type': 'PackClip', 'num_persons': 2}}
    object.__setattr__(built, 'trained_on', {'num_frames': 16, 'pipeline': pipeline, 'method': 'Recognizer'})
    return built


def blobs(classes: int, D: int, clips: int = 30, streams: int = 1) -> Features:
    """Features of separate classes."""
    draws = torch.Generator().manual_seed(1)
    labels = torch.arange(clips) % classes
    x = torch.randn(classes, D, generator=draws)[labels] + 0.4 * torch.randn(clips, D, generator=draws)
    return Features(x, labels, torch.full((clips,), -1), [str(i) for i in range(clips)], streams)


@pytest.mark.slow
@pytest.mark.parametrize('streams', [1, 2])
def test_the_head_computes_what_the_classifier_computes(streams):
    probe: FewShotProbe = fit_few_shot(blobs(3, 12, streams=streams))
    x = torch.cat(
        [blobs(3, 12, 9).x, -blobs(3, 12, 9).x, torch.randn(40, 12, generator=torch.Generator().manual_seed(2))]
    )
    found, expected = FewShotHead(probe, ['a', 'b', 'c'])(x), probe(x)
    torch.testing.assert_close(found[:, :3], expected.probabilities, rtol=1e-6, atol=1e-7)
    assert torch.equal(found[:, 3] == 1, expected.unknown) and set(found[:, 3].tolist()) == {0.0, 1.0}


def test_a_published_probe_as_a_head():
    draws = torch.Generator().manual_seed(0)
    weights, bias = torch.randn(6, 3, generator=draws).double(), torch.randn(3, generator=draws).double()
    probe = TrainedProbe(weights, bias, 'backbone', ('a', 'b', 'c'), 0.3)
    x = torch.randn(5, 6, generator=draws)
    torch.testing.assert_close(ProbeHead.of(probe)(x), probe.probabilities(x).float())


@pytest.mark.slow
def test_a_graph_of_few_labels_rejects_in_onnx(tmp_path):
    network = DeployedNetwork(model('bone'), 'backbone', 'joints')
    (x,) = network.example(24)
    with torch.no_grad():
        features = network(x)
    labels = torch.arange(24) % 2
    clips = Features(features + 0.1 * labels[:, None], labels, torch.full((24,), -1), [str(i) for i in range(24)])
    probe = fit_few_shot(clips, accept=0.6)
    head = FewShotHead(probe, ['sit', 'wave'])
    classifier = DeployedNetwork(model('bone'), 'backbone@joints', head=head)
    exported = export_network(classifier, tmp_path / 'few.onnx', 'onnx')
    assert exported.facts['classes'] == ['sit', 'wave', 'unknown'] and exported.facts['output'] == 'probabilities'
    session = onnxruntime.InferenceSession(tmp_path / 'few.onnx', providers=['CPUExecutionProvider'])
    assert json.loads(session.get_modelmeta().custom_metadata_map['skeattn']) == exported.facts
    asked = torch.cat([x[:8], 9 * x[8:16].flip(dims=(2, 3))])
    (found,) = session.run(['probabilities'], {'clips': asked.numpy()})
    with torch.no_grad():
        expected = probe(network(asked))
    np.testing.assert_allclose(found[:, :2], expected.probabilities, atol=1e-4)
    assert 0 < expected.unknown.sum() < 16
    np.testing.assert_array_equal(found[:, 2] == 1, expected.unknown)
