"""A freshly initialised model is distributed as the released one, but its key encoder is a true copy."""

import pytest
import torch
from mmengine.config import Config

from skeattn.models.released_weights import convert_released
from skeattn.registry import MODELS
from tests.conftest import ROOT
from tests.fidelity.golden import Golden


def build(**changes):
    cfg = Config.fromfile(ROOT / 'configs/_base_/models/skeattnclr.py')
    options = {'data_preprocessor.layout': 'ntu25', 'backbone.layout': 'ntu25', 'heads': 'released', 'queue.size': 64}
    cfg.merge_from_dict({f'model.{key}': value for key, value in {**options, **changes}.items()})
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    return model


@pytest.mark.parametrize('key_init', ['copy', 'independent'])
def test_weights_are_distributed_as_released(key_init):
    golden = Golden('init_case')
    model = build(key_init=key_init, **{'backbone.base_channels': 16, 'backbone.out_channels': 256})
    parameters = dict(model.named_parameters())
    compared = 0
    for i, name in enumerate(str(n) for n in golden.arrays['names']):
        ours = convert_released({name: torch.zeros(1)}, 'skeattnclr').renamed.get(name)
        if ours is None:
            continue
        p = parameters[ours].detach()
        drawn = float(golden['std'][i]) > 0.005
        mean, std = round(float(golden['mean'][i])), 0.02 if drawn else 0.0
        assert p.std(correction=0).item() == pytest.approx(std, abs=4 * std / p.numel() ** 0.5), ours
        assert p.mean().item() == pytest.approx(mean, abs=5 * std / p.numel() ** 0.5), ours
        compared += drawn
    assert compared > 100


@pytest.mark.slow
def test_key_encoder_starts_as_a_copy_unless_independent():
    for key_init, equal in (('copy', True), ('independent', False)):
        model = build(key_init=key_init)
        pairs = zip(model.encoder_q.parameters(), model.encoder_k.parameters(), strict=True)
        assert all(torch.equal(q, k) for q, k in pairs) is equal
