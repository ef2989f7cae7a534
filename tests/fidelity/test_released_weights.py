"""The import tool, from file to features: the weights of a released network give its features in our model.

The models are built from the config that the tool infers from the shapes, never from the golden settings.
"""

from collections import OrderedDict

import pytest
import torch

from skeattn.apis import load_checkpoint
from skeattn.augment.functional import derive_stream
from skeattn.checkpoint import load_weights, write_checkpoint
from skeattn.models.losses import l2_normalize
from skeattn.skeletons import get_layout
from tests.engine.toy import tool
from tests.fidelity.golden import Golden, assert_close, to_model

pytestmark = pytest.mark.slow

converter = tool('model_converters/convert_released')

CONTAINERS = {
    'bare': lambda state: state,
    'parallel': lambda state: OrderedDict((f'module.{name}', value) for name, value in state.items()),
    'nested': lambda state: {'epoch': 300, 'model': state, 'optimizer': {'lr': 0.1}},
}


@pytest.fixture
def imported(tmp_path):
    """A released state -> the tool's report and our model with the converted weights."""

    def run(state, container='bare', **options):
        torch.save(CONTAINERS[container](state), tmp_path / 'released.pt')
        done = converter.import_released(tmp_path / 'released.pt', **options)
        write_checkpoint(tmp_path / 'ours.pth', {'meta': {}, 'state_dict': done.conversion.state})
        done.config['model']['backbone']['dropout'] = 0.0  # as in the golden cases
        model = converter.build(done.config)
        report = load_checkpoint(model, tmp_path / 'ours.pth', min_match=1)
        assert not report.missing and not report.unexpected
        return done, model

    return run


@pytest.mark.parametrize(
    ('method', 'named', 'container'),
    [
        ('skeletonclr', True, 'bare'),
        ('aimclr', True, 'parallel'),
        ('hiclr', False, 'nested'),
        ('skelemixclr', False, 'bare'),
    ],
)
def test_query_and_key_embeddings(imported, method, named, container):
    golden = Golden(f'{method}_step')
    done, model = imported(golden.packed('state0'), container, method=method if named else None)
    assert done.method == method
    model.train()
    model.update_key_encoder(golden.meta['m'], buffers=False)  # comes first in the released step
    assert_close(model.query(to_model(golden['step1/xq'])), golden['step1/q'], 'query')
    assert_close(model.key(to_model(golden['step1/xk'])), golden['step1/k'], 'key')
    assert_close(model.queue.keys, golden.packed('state0')['queue'], 'queue')
    assert int(model.queue.pointer) == golden.meta['ptr']


@pytest.mark.parametrize(('case', 'container'), [('crossclr_step', 'bare'), ('crossclr_2stream_step', 'parallel')])
def test_embeddings_of_every_stream(imported, case, container):
    golden = Golden(case)
    done, model = imported(golden.packed('state0'), container)
    assert done.method == 'crossclr'
    assert [stream[0] for stream in done.stream] == golden.meta['streams']
    model.train()
    model.update_key_encoder(golden.meta['m'], buffers=False)  # comes first in the released step
    for stream, member in model.members.items():
        xq, xk = (derive_stream(golden[f'step1/{x}'], stream, get_layout('ntu25')) for x in ('xq', 'xk'))
        assert_close(member.query(to_model(xq)), golden[f'step1/q_{stream[0]}'], f'{stream} query')
        assert_close(member.key(to_model(xk)), golden[f'step1/k_{stream[0]}'], f'{stream} key')


@pytest.mark.parametrize(('older', 'container'), [(False, 'bare'), (True, 'nested')])
def test_skeattnclr_embeddings_and_mask(imported, older, container):
    golden = Golden('skeattnclr_step')
    state = golden.packed('state0')
    if older:
        state = {n.replace('_s.', '_p.').replace('_ns.', '_c.'): value for n, value in state.items()}
    done, model = imported(state, container)
    assert done.method == 'skeattnclr'
    model.mhsam.num_heads = golden.meta['heads']  # leaves no trace in the shapes
    model.train()

    def predicted(pooled, branch):
        return l2_normalize(model.predictors[branch](model.encoder_q.projector(pooled)))

    F_q = model.encoder_q.map(to_model(golden['step1/xq']))
    F_mix = model.encoder_q.map(to_model(golden['mix1/mixed']))
    mask = model.mhsam(F_mix.values)
    assert_close(predicted(F_q.pool(), 'z'), golden['step1/q_z'], 'q_z')
    assert_close(mask.flatten(0, 1).flatten(2).transpose(1, 2), golden['step1/mask'], 'mask')
    assert_close(predicted(F_mix.pool(mask), 's'), golden['step1/q_s'], 'q_s')
    assert_close(predicted(F_mix.pool(1 - mask), 'ns'), golden['step1/q_ns'], 'q_ns')
    assert_close(model.key(to_model(golden['step1/xk'])), golden['step1/k_z'], 'k_z')


@pytest.mark.parametrize(('case', 'container'), [('mamp_step', 'nested'), ('mamp_joint_step', 'parallel')])
def test_masked_models(imported, case, container):
    """All but the number of heads follows from the shapes."""
    golden = Golden(case)
    meta = golden.meta
    done, model = imported(golden.packed('state0'), container)
    backbone, decoder = (done.config['model'][part] for part in ('backbone', 'decoder'))
    assert (done.method, done.missing, done.conversion.ignored) == ('mamp', [], {})
    assert (backbone['out_channels'], backbone['depth'], backbone['patch']) == (meta['D'], meta['depth'], meta['patch'])
    assert (backbone['num_frames'], backbone['ratio'], decoder['depth']) == (16, 4.0, meta['decoder_depth'])
    for part in (*model.encoder.backbone.layers, *model.decoder.layers):
        part.self_attn.num_heads, part.self_attn.head_dim = meta['heads'], meta['D'] // meta['heads']
    x = to_model(golden['step1/x']).flatten(0, 1)
    assert_close(model.predict(x, golden['step1/kept'].long()), golden['step1/prediction'], 'prediction')


def test_a_tuned_masked_model(imported):
    """With its queue, and the ids of the queue's clips."""
    golden = Golden('stars_step')
    meta, state = golden.meta, golden.packed('state0')
    done, model = imported({**state, 'queue_ptr': golden['queue_ptr0'].reshape(1)}, 'parallel')
    assert (done.method, done.missing, done.conversion.ignored) == ('stars', [], {})
    backbone, predictor = (done.config['model'][part] for part in ('backbone', 'predictor'))
    assert (backbone['depth'], predictor['hidden_channels']) == (meta['depth'], meta['predictor_hidden'])
    assert torch.equal(model.queue.ids, state['queue_id'].long()) and model.queue.pointer == meta['ptr']
    for part in model.encoder.backbone.layers:
        part.self_attn.num_heads, part.self_attn.head_dim = meta['heads'], meta['D'] // meta['heads']
    z, p = model.train().embeddings(to_model(golden['step1/xq']))
    assert_close(z, golden['step1/projection_q'], 'projection')
    assert_close(p, golden['step1/prediction_q'], 'prediction')


def test_the_encoder_of_a_masked_model_alone(tmp_path):
    """As a later stage of training saves it; the features need nothing else."""
    theirs = {n: v for n, v in Golden('mamp_step').packed('state0').items() if not n.startswith(('decoder', 'mask'))}
    torch.save(theirs, tmp_path / 'released.pt')
    done = converter.import_released(tmp_path / 'released.pt')
    assert done.conversion.renamed['blocks.1.attn.qkv.bias'] == 'encoder.backbone.layers.1.self_attn.in_proj_bias'
    assert done.missing and all(name.startswith('decoder.') for name in done.missing)
    assert done.config['model']['decoder'] == {'depth': 1}


def test_encoder_and_classifier_in_eval_mode(imported):
    golden = Golden('stgcn_forward')
    done, model = imported(golden.packed('state', prefix='encoder_q.backbone.'))
    assert (done.method, done.config['num_classes']) == ('recognizer', golden.meta['num_class'])
    model.eval()
    x = to_model(golden['x'])
    F = model.encoder.map(x)
    assert_close(F.values.flatten(0, 1), golden['eval/feature_map'], 'feature map')
    assert_close(F.pool(), golden['eval/pooled'], 'pooled')
    assert_close(model.embed(x, 'logits'), golden['eval/fc_out'], 'logits')


@pytest.mark.parametrize(('case', 'container'), [('linear_eval_step', 'nested'), ('finetune_step', 'parallel')])
def test_classifiers_of_the_downstream_tasks(imported, case, container):
    golden = Golden(case)
    done, model = imported(golden.packed('state0'), container)
    assert done.method == 'recognizer'
    assert_close(model.eval().embed(to_model(golden['step1/x']), 'logits'), golden['step1/logits'], 'logits')


def test_a_classifier_on_several_streams(imported):
    """CrosSCLR's three encoders with a linear classifier each, one stream of them at a time."""
    golden = Golden('crossclr_step')
    state = {n: v for n, v in golden.packed('state0').items() if n.startswith('encoder_q') and '.fc.' not in n}
    heads = {f'encoder_q{u}.fc.weight': torch.randn(5, golden.meta['hd']) for u in ('', '_motion', '_bone')}
    biases = {name.replace('weight', 'bias'): torch.randn(5) for name in heads}
    _, whole = imported(golden.packed('state0'))
    for stream, (name, weight) in zip(('joint', 'motion', 'bone'), heads.items(), strict=True):
        _, model = imported({**state, **heads, **biases}, stream=stream)
        x = to_model(derive_stream(golden['step1/xq'], stream, get_layout('ntu25')))
        pooled = whole.members[stream].eval().encoder_q.map(x).pool()
        expected = pooled @ weight.T + biases[name.replace('weight', 'bias')]
        assert_close(model.eval().embed(x, 'logits'), expected, f'{stream} logits')


def test_a_classifier_loads_the_encoder_alone(tmp_path):
    """A query encoder without classifier: the features are the same, the classifier keeps its initial weights."""
    golden = Golden('aimclr_step')
    theirs = golden.packed('state0')
    encoder = {n: v for n, v in theirs.items() if n.startswith('encoder_q.') and '.fc.' not in n}
    torch.save(encoder, tmp_path / 'released.pt')
    done = converter.import_released(tmp_path / 'released.pt')
    assert done.missing == ['head.fc.weight', 'head.fc.bias']
    model = converter.build(done.config)
    load_weights(model, done.conversion.state, 'the encoder')
    torch.save(theirs, tmp_path / 'whole.pt')
    whole = converter.import_released(tmp_path / 'whole.pt', 'aimclr')
    pretrained = converter.build(whole.config)
    load_weights(pretrained, whole.conversion.state, 'the whole')
    x = to_model(golden['step1/xq'])
    assert_close(model.eval().encoder.map(x).pool(), pretrained.eval().encoder_q.map(x).pool(), 'features', 1e-12)
