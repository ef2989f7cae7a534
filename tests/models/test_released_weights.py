"""Released names and shapes are identified, renamed and described, for any width."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from skeattn.errors import CheckpointError
from skeattn.models.released_weights import convert_released, methods_of, released_config, streams_of
from tests.models.released import TYPES, build, config_of, random_state, released, released_state


@pytest.mark.slow
@settings(max_examples=30)
@given(
    method=st.sampled_from(list(TYPES)),
    base=st.integers(1, 4),
    out=st.integers(1, 17),
    hidden=st.integers(1, 9),
    embedding=st.integers(1, 9),
    queue=st.integers(1, 40),
    parallel=st.booleans(),
)
def test_any_width_there_and_back(method, base, out, hidden, embedding, queue, parallel):
    config = config_of(method, base, out, hidden, embedding, queue)
    state = random_state(config)
    theirs = released_state(state, method, config['model']['backbone']['graph'])
    if parallel:
        theirs = {f'module.{name}': value for name, value in theirs.items()}
    assert method in methods_of(theirs)
    conversion = convert_released(theirs, method)
    assert conversion.state.keys() == state.keys()
    for name, value in state.items():
        torch.testing.assert_close(conversion.state[name], value, rtol=0, atol=0)
    assert released_config(conversion, method) == config
    assert conversion.renamed.keys() | conversion.ignored.keys() == theirs.keys()
    assert not conversion.renamed.keys() & conversion.ignored.keys()


@pytest.mark.parametrize('method', TYPES)
def test_a_release_is_identified_by_its_names(method):
    methods = methods_of(released(method))
    assert methods == (('skeletonclr', 'aimclr') if method in ('skeletonclr', 'aimclr') else (method,))


def test_foreign_names_are_of_no_release():
    assert methods_of(['layer1.weight', 'fc.bias']) == ()
    assert methods_of(['encoder_q.backbone.encoder.gru.weight_ih_l0', 'encoder_k.backbone.fc.weight']) == ()
    assert methods_of(build(config_of('hiclr')).state_dict()) == ()


def test_without_key_encoder_it_is_a_classifier():
    for method in ('skeattnclr', 'hiclr'):
        theirs = {name: value for name, value in released(method).items() if name.startswith('encoder_q.')}
        assert methods_of(theirs) == ('recognizer',)


def test_hiclr_counts_edge_weights_from_one():
    theirs = released('hiclr')
    conversion = convert_released(theirs, 'hiclr')
    for i in range(10):
        ours = conversion.state[f'encoder_k.backbone.edge_importance.{i}']
        assert torch.equal(ours, theirs[f'encoder_k.edge_importance{i + 1}'])


def test_first_skeattnclr_release_called_salient_p_and_non_salient_c():
    theirs = released('skeattnclr')
    older = {}
    for name, value in theirs.items():
        name = name.replace('predictor_s.', 'predictor_p.').replace('predictor_ns.', 'predictor_c.')
        older[name.replace('queue_s', 'queue_p').replace('queue_ptr_ns', 'queue_ptr_c')] = value
    new, old = convert_released(theirs, 'skeattnclr'), convert_released(older, 'skeattnclr')
    assert new.state.keys() == old.state.keys()
    assert all(torch.equal(old.state[name], value) for name, value in new.state.items())
    assert {old.ignored['queue_p'], old.ignored['queue_ptr_c']} == {'never read'}


def test_heads_of_further_streams_end_in_the_joint_head():
    conversion = convert_released(released('crossclr', streams=('joint', 'motion')), 'crossclr')
    joint, motion = (f'members.{u}.encoder_q.projector.' for u in ('joint', 'motion'))
    state = conversion.state
    assert torch.equal(state[f'{motion}2.layers.0.weight'], state[f'{joint}layers.0.weight'])
    assert state[f'{motion}0.weight'].shape == (8, 8)
    assert released_config(conversion, 'crossclr')['stream'] == ['joint', 'motion']


def test_a_classifier_on_several_streams_gives_one():
    theirs = released('crossclr')
    queries = {name: value for name, value in theirs.items() if name.startswith('encoder_q') and '.fc.' not in name}
    queries |= {f'encoder_q{u}.fc.weight': torch.full((4, 8), float(i)) for i, u in enumerate(('', '_motion', '_bone'))}
    assert streams_of(queries) == ['joint', 'motion', 'bone']
    for i, stream in enumerate(('joint', 'motion', 'bone')):
        conversion = convert_released(queries, 'recognizer', stream)
        assert torch.equal(conversion.state['head.fc.weight'], torch.full((4, 8), float(i)))
        suffix = '' if stream == 'joint' else f'_{stream}'
        assert conversion.renamed[f'encoder_q{suffix}.data_bn.bias'] == 'encoder.backbone.data_bn.bias'
        assert sum(reason == 'another stream' for reason in conversion.ignored.values()) == 2 * sum(
            name.startswith('encoder_q.') and name != 'encoder_q.A' for name in queries
        )
        assert released_config(conversion, 'recognizer')['num_classes'] == 4


def test_names_without_a_rule_stay_visible():
    conversion = convert_released({**released('aimclr'), 'teacher.weight': torch.zeros(2)}, 'aimclr')
    assert conversion.renamed['teacher.weight'] == 'teacher.weight'


def test_missing_or_foreign_tensors_that_determine_the_config_are_named():
    theirs = released('aimclr')
    for missing, message in (
        ('encoder_q.fc.2.weight', r'encoder_q\.projector\.layers\.2\.weight'),
        ('encoder_q.st_gcn_networks.9.tcn.2.weight', 'blocks.9.tcn.2.weight'),
    ):
        rest = {name: value for name, value in theirs.items() if name != missing}
        with pytest.raises(CheckpointError, match=message):
            released_config(convert_released(rest, 'aimclr'), 'aimclr')
    plain = {name: value for name, value in theirs.items() if not name.endswith('.A')}
    with pytest.raises(CheckpointError, match='no adjacency'):
        released_config(convert_released(plain, 'aimclr'), 'aimclr')
    other = {name: value + 1 if name.endswith('.A') else value for name, value in theirs.items()}
    with pytest.raises(CheckpointError, match='matches neither graph'):
        released_config(convert_released(other, 'aimclr'), 'aimclr')


def test_the_queue_may_be_missing():
    theirs = {name: value for name, value in released('aimclr').items() if not name.startswith('queue')}
    assert 'queue' not in released_config(convert_released(theirs, 'aimclr'), 'aimclr')['model']
