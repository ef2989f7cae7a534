"""Exported networks compute what the method computes, for any number of clips and, where possible, any length."""

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from skeattn.deployment import DeployedNetwork, export_network, facts_of
from skeattn.deployment import export as exporting
from skeattn.engine.build import load_model
from skeattn.errors import ConfigError, ExportError
from skeattn.registry import MODELS
from skeattn.skeletons import get_layout
from tests.engine.toy import toy_runner, write_set

pytestmark = pytest.mark.slow

OLD = tuple(map(int, torch.__version__.split('.')[:2])) < exporting.OLDEST_TORCH
exports = pytest.mark.skipif(OLD, reason='this torch is too old for exports')
GRAPH = dict(base_channels=4, out_channels=16)
BACKBONES = {
    'STGCN': GRAPH,
    'AGCN': GRAPH,
    'CTRGCN': GRAPH,
    'STGCNPP': dict(base_channels=8, out_channels=32),
    'BIGRU': dict(hidden_channels=8, num_layers=2),
    'DSTA': {},
    'SkeletonTransformer': dict(out_channels=16, depth=1, num_heads=2),
}
"""The seven backbones, narrow."""


def recognizer(backbone: str, stream: str = 'joint', persons: str = 'all', layout: str = 'ntu25') -> torch.nn.Module:
    """An untrained recogniser that states where it comes from."""
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='Recognizer',
            backbone=dict(type=backbone, layout=layout, **BACKBONES[backbone]),
            head=dict(type='LinearHead', num_classes=5),
            data_preprocessor=dict(type='SkeletonPreprocessor', layout=layout, stream=stream),
            persons=persons,
        )
    ).eval()
    pipeline = {'resample': {'type': 'Resample', 'num_frames': 16}, 'pack': {'type': 'PackClip', 'num_persons': 2}}
    facts = {'num_frames': 16, 'pipeline': pipeline, 'method': 'Recognizer', 'classes': list('abcde')}
    object.__setattr__(model, 'trained_on', facts)
    return model


@pytest.mark.parametrize('backbone', BACKBONES)
@pytest.mark.parametrize('persons', ['all', 'present'])
def test_the_network_computes_the_features_of_the_method(backbone, persons):
    """With an absent person among the clips, whom the method does not encode."""
    model = recognizer(backbone, 'bone', persons)
    for source in ('backbone@joints', 'logits'):
        network = DeployedNetwork(model, source)
        (x,) = network.example(4)
        with torch.no_grad():
            torch.testing.assert_close(network(x), model.features({'inputs': x}, source), rtol=1e-5, atol=1e-6)


@exports
@pytest.mark.parametrize('backbone', BACKBONES)
def test_every_backbone_as_onnx_and_as_a_program(backbone, tmp_path):
    network = DeployedNetwork(recognizer(backbone, persons='present'), 'backbone', 'joints')
    stride = network.stride
    for kind in ('onnx', 'torch'):
        exported = export_network(network, tmp_path / kind, kind)
        assert exported.difference < 1e-5
        frames = exported.facts['input'][2]
        assert frames == (16 if backbone == 'BIGRU' else f'frames, a multiple of {stride}')
    session = onnxruntime.InferenceSession(tmp_path / 'onnx', providers=['CPUExecutionProvider'])
    (x,) = network.example(7, 16 if backbone == 'BIGRU' else 6 * stride)
    found = session.run(None, {'clips': x.numpy()})[0]
    np.testing.assert_allclose(found, network(x).numpy(), rtol=1e-4, atol=1e-5)


@exports
@pytest.mark.parametrize('stream', ['bone', 'motion'])
def test_a_graph_with_marks_of_missing_joints(stream, tmp_path):
    """It computes what the method does: what a missing joint enters is 0, whatever stands in its place."""
    model = recognizer('SkeletonTransformer', stream, 'present')
    network = DeployedNetwork(model, missing=True)
    for kind in ('onnx', 'torch'):
        facts = export_network(network, tmp_path / kind, kind).facts
        assert facts['missing'] == ['clips', 'frames, a multiple of 4', 25, 2]
    x, missing = network.example(4, 24)
    assert 0.05 < missing.float().mean() < 0.15
    with torch.no_grad():
        expected = model.features({'inputs': x, 'missing': missing})
        unmarked = model.features({'inputs': x})
    assert (expected - unmarked).abs().max() > 0.01 * expected.abs().max()
    session = onnxruntime.InferenceSession(tmp_path / 'onnx', providers=['CPUExecutionProvider'])
    elsewhere = torch.where(missing[:, None], x + 1, x)
    for clips in (x, elsewhere):
        found = session.run(None, {'clips': clips.numpy(), 'missing': missing.numpy()})[0]
        np.testing.assert_allclose(found, expected.numpy(), rtol=1e-4, atol=1e-5)
    program = torch.export.load(tmp_path / 'torch').module()
    torch.testing.assert_close(program(elsewhere, missing), expected, rtol=1e-5, atol=1e-6)


def test_the_joint_stream_needs_no_marks():
    with pytest.raises(ConfigError, match='the joint stream reads a missing joint where the pipeline put it'):
        DeployedNetwork(recognizer('SkeletonTransformer', 'joint'), missing=True)


@exports
def test_metadata_say_how_to_use_the_file(tmp_path):
    network = DeployedNetwork(recognizer('SkeletonTransformer', 'motion'), 'logits')
    path = tmp_path / 'network.onnx'
    facts = export_network(network, path, 'onnx').facts
    model = onnx.load(path)
    assert json.loads({entry.key: entry.value for entry in model.metadata_props}['skeattn']) == facts
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == ['clips', 'logits']
    assert facts['input'] == ['clips', 3, 'frames, a multiple of 4', 25, 2] and 'missing' not in facts
    assert facts['classes'] == list('abcde')
    assert (facts['stream'], facts['source'], facts['method']) == ('motion', 'logits', 'Recognizer')
    assert facts['layout'] == {'name': 'ntu25', 'joints': list(get_layout('ntu25').joints)}
    assert facts['pipeline']['resample'] == {'type': 'Resample', 'num_frames': 16}


@exports
def test_a_trained_method_without_what_only_training_needs(tmp_path):
    """From a checkpoint: key encoder, queue, mask and predictor are not exported."""
    runner = toy_runner(tmp_path, data=write_set(tmp_path / 'set'), max_iters=1)
    runner.train()
    model = load_model(tmp_path / 'run')
    network = DeployedNetwork(model, readout='joints')
    kept = {name for name, part in network.model.named_children() if part is not None}
    assert kept == {'data_preprocessor', 'encoder_q'} and network.model.trained_on['epoch'] == 1
    exported = export_network(network, tmp_path / 'encoder.pt2', 'torch')
    extra = {'skeattn.json': ''}
    program = torch.export.load(exported.path, extra_files=extra).module()
    assert json.loads(extra['skeattn.json']) == exported.facts and exported.facts['epoch'] == 1
    (x,) = network.example(2)
    torch.testing.assert_close(program(x), model.features({'inputs': x}, 'backbone@joints'), rtol=1e-5, atol=1e-6)


@exports
def test_a_graph_that_computes_something_else_is_not_written(tmp_path, monkeypatch):
    network = DeployedNetwork(recognizer('SkeletonTransformer'))
    form = exporting.FORMATS['torch']
    wrong = form._replace(load=lambda path: lambda *x: form.load(path)(*x) * 1.001)
    monkeypatch.setitem(exporting.FORMATS, 'torch', wrong)
    (tmp_path / 'old.pt2').write_text('old')
    with pytest.raises(ExportError, match=r'old.pt2 was not written: the torch graph differs .* by 1.0e-03'):
        export_network(network, tmp_path / 'old.pt2', 'torch')
    assert (tmp_path / 'old.pt2').read_text() == 'old'


@pytest.mark.parametrize(
    ('call', 'message'),
    [
        (lambda model: DeployedNetwork(model, 'projector'), "no features from 'projector'"),
        (lambda model: export_network(DeployedNetwork(model), 'x', 'pickle'), "no format 'pickle'.*onnx or torch"),
    ],
)
def test_mistakes(call, message):
    with pytest.raises(ConfigError, match=message):
        call(recognizer('SkeletonTransformer'))


def test_a_network_of_unknown_clip_length_is_refused():
    model = recognizer('SkeletonTransformer')
    object.__setattr__(model, 'trained_on', None)
    with pytest.raises(ConfigError, match='length of the clips is not known'):
        DeployedNetwork(model)


def test_a_torch_that_is_too_old_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, '__version__', '2.7.1+cpu')
    with pytest.raises(ConfigError, match=r'an export needs torch 2\.8 or newer, and this is 2\.7\.1\+cpu'):
        export_network(DeployedNetwork(recognizer('STGCN')), tmp_path / 'a.onnx', 'onnx')


@exports
def test_missing_packages_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(exporting.importlib.util, 'find_spec', lambda name: None)
    with pytest.raises(ConfigError, match=r'onnx needs onnx, onnxscript, onnxruntime; .*skeattn\[export\]'):
        export_network(DeployedNetwork(recognizer('SkeletonTransformer')), tmp_path / 'x', 'onnx')


def test_facts_of_a_network_of_fixed_length():
    assert facts_of(DeployedNetwork(recognizer('BIGRU')), free_length=False)['input'] == ['clips', 3, 16, 25, 2]
