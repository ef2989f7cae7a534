"""STARS: what is trained, from which weights, and on which neighbours; its steps are in tests/fidelity."""

import shutil

import pytest
import torch

from skeattn.checkpoint import read_checkpoint
from skeattn.errors import CheckpointError, ConfigError
from skeattn.models import STARS
from skeattn.models.losses import l2_normalize
from tests.engine.runs import assert_equal_state
from tests.engine.toy import toy_runner, write_set
from tests.models.tuned import BACKBONE, MAMP, PREDICTOR, STARS_LINES

QUIET = {'evaluation': None, 'default_hooks__checkpoint__save_best': None}


def stars(**changes):
    torch.manual_seed(0)
    backbone = dict(type='SkeletonTransformer', layout='ntu25', **BACKBONE)
    return STARS(**{**dict(backbone=backbone, predictor=PREDICTOR, queue=dict(size=12)), **changes})


def inputs(**views):
    views = views or {'query': torch.randn(4, 2, 3, 16, 25)}
    return {**views, 'clip.index': torch.arange(4)}


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return write_set(tmp_path_factory.mktemp('stars') / 'set')


@pytest.fixture(scope='module')
def mamp(tmp_path_factory, data):
    """The work_dir of a pre-trained encoder."""
    folder = tmp_path_factory.mktemp('mamp')
    toy_runner(folder, model='skeletonclr', data=data, lines=MAMP, train_cfg__max_epochs=1, **QUIET).train()
    return folder / 'run'


def tuning(folder, data, **options):
    return toy_runner(folder, model='skeletonclr', data=data, lines=STARS_LINES, **{**QUIET, **options})


def test_without_a_second_view_the_loss_is_that_of_two_equal_views():
    x = torch.randn(4, 2, 3, 16, 25)
    one, two = (stars().loss(inputs(**views)) for views in ({'query': x}, {'query': x, 'key': x}))
    for name, value in two.items():
        assert torch.allclose(one[name], value, atol=1e-6)


def test_the_released_gradient_is_half_of_that_of_equal_views():
    gradients = []
    for symmetric in (True, False):
        torch.manual_seed(3)
        model, x = stars(symmetric=symmetric), torch.randn(4, 2, 3, 16, 25)
        model.loss(inputs(query=x))['loss'].backward()
        gradients.append(model.predictor.layers[0].weight.grad)
    assert torch.allclose(gradients[0], 2 * gradients[1], atol=1e-6)


def test_the_loss_is_that_of_the_neighbours_of_other_clips():
    """By hand, in evaluation mode: the neighbours of one view against the predictions of the other."""
    model, ids = stars().eval(), torch.arange(4)
    model.queue.ids[:4] = ids
    x, y = torch.randn(2, 4, 2, 3, 16, 25)
    z, p = [], []
    for view in (x, y):
        f = model.encoder.map(view).pool()
        z.append(l2_normalize(model.projector(f)))
        p.append(l2_normalize(model.predictor(model.projector(f))))
    losses = []
    for a, b in ((1, 0), (0, 1)):
        total = 0.0
        for i in range(4):
            others = [k for k in range(12) if k != i]
            nearest = max(others, key=lambda k: (z[a][i] @ model.queue.keys[:, k]).item())
            total -= (model.queue.keys[:, nearest] @ p[b].T / 0.07).log_softmax(dim=0)[i] / 4
        losses.append(total)
    found = model.loss({'query': x, 'key': y, 'clip.index': ids})
    assert torch.allclose(found['loss'], sum(losses) / 2, atol=1e-5)
    assert torch.allclose(torch.stack([found['L_query'], found['L_key']]), torch.stack(losses), atol=1e-5)


def test_sources_are_the_features_before_and_after_the_norm_and_the_prediction():
    model, x = stars().eval(), torch.randn(2, 2, 3, 16, 25)
    f = model.embed(x, 'backbone')
    assert torch.equal(f, model.encoder.map(x).pool())
    assert torch.allclose(model.embed(x, 'projector'), model.projector(f))
    assert torch.allclose(model.embed(x, 'predictor'), model.predictor(model.projector(f)))


def test_the_choices_name_the_released_gradient():
    assert stars().paper_vs_release()['symmetric'] == (True, 'paper; in the release one view learns nothing')
    assert stars(symmetric=False).paper_vs_release()['symmetric'] == (False, 'as released')


def test_random_weights_are_not_tuned_unless_asked_for(data, tmp_path):
    with pytest.raises(ConfigError, match=r'STARS tunes an encoder that MAMP has trained.*load_from=CHECKPOINT'):
        tuning(tmp_path, data).train()
    (tmp_path / 'scratch').mkdir()
    tuning(tmp_path / 'scratch', data, model__from_scratch=True, max_iters=1).train()


@pytest.mark.slow
def test_it_starts_from_mamps_encoder_and_leaves_the_lower_blocks_as_they_are(mamp, data, tmp_path):
    """The folder of MAMP's run stands for its newest checkpoint."""
    tuning(tmp_path, data, load_from=str(mamp), max_iters=3).train()
    before, after = (
        read_checkpoint(path)['state_dict'] for path in (mamp / 'epoch_1.pth', tmp_path / 'run/epoch_1.pth')
    )
    encoder = [name for name in after if name.startswith('encoder.')]
    still = {name for name in encoder if torch.equal(before[name], after[name])}
    assert still == {
        name for name in encoder if 'layers.1' not in name and 'layers.2' not in name and '.norm.' not in name
    }
    assert (after['queue.ids'] >= 0).sum() == 12 and after['queue.pointer'] == 0


def test_a_folder_without_checkpoint_is_refused(data, tmp_path):
    with pytest.raises(CheckpointError, match='holds no checkpoint'):
        tuning(tmp_path, data, load_from=str(tmp_path)).train()


@pytest.mark.slow
@pytest.mark.parametrize('micro_batches', [1, 2])
def test_it_resumes_bit_for_bit(mamp, data, tmp_path, micro_batches):
    """Three batches an epoch: with steps of two, an epoch ends with keys and ids that wait."""
    options = dict(load_from=str(mamp), train_cfg__max_epochs=2, optim_wrapper__accumulative_counts=micro_batches)
    tuning(tmp_path, data, **options).train()
    (tmp_path / 'on/run').mkdir(parents=True)
    shutil.copy(tmp_path / 'run/epoch_1.pth', tmp_path / 'on/run')
    tuning(tmp_path / 'on', data, **{**options, 'load_from': None, 'resume': True}).train()
    assert_equal_state(*(read_checkpoint(folder / 'run/epoch_2.pth') for folder in (tmp_path, tmp_path / 'on')))
