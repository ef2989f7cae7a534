"""PSTL: frames, joints, losses, gradients and states of two iterations equal those of the released training loop."""

import pytest
import torch

from skeattn.augment import CentralSpatialMasking, MotionAttentionTemporalMasking
from skeattn.augment.functional import frame_motion, stillest
from skeattn.augment.masking import by_degree, remaining
from skeattn.engine.places import PARAM_SCHEDULERS
from skeattn.models import PSTL, SkeletonPreprocessor
from skeattn.models.losses import cross_correlation
from skeattn.models.views import View
from skeattn.skeletons import get_layout
from tests.fidelity.golden import Golden, assert_close, to_model
from tests.fidelity.steps import RecordingOptimWrapper, assert_step, train_steps

NAMES = {
    'encoder.': 'encoder.backbone.',
    'encoder.st_gcn_networks.': 'encoder.backbone.blocks.',
    'btwins_head.projector.': 'encoder.projector.layers.',
    'btwins_head.bn.': 'encoder.projector.layers.7.',
}


class PSTLGolden(Golden):
    """The golden file, its states under our names."""

    def __init__(self):
        super().__init__('pstl_step')

    def converted(self, group, method='pstl', prefix=''):
        state = {}
        for name, value in self.packed(group, prefix).items():
            old = max((old for old in NAMES if name.startswith(old)), key=len)
            state[name.replace(old, NAMES[old], 1)] = value
        state.pop('encoder.backbone.A', None)  # follows from the layout
        return state

    def places(self, step, clips):
        """The parameters of MATM with the released draw."""
        return {'places': self[f'step{step}/matm_ranks'].long().expand(clips, -1), 'axes': torch.ones(clips, 3)}


class ReplayPreprocessor(SkeletonPreprocessor):
    """The golden views, from which our operations leave frames and joints out by the golden draws."""

    def __init__(self, golden):
        super().__init__('ntu25')
        self.golden, self.step = golden, 1

    def draw_views(self, clips, marked=False, native=None):
        golden, s = self.golden, self.step
        temporal = View(golden[f'step{s}/x2'])
        temporal.late.append((temporal_masking(), golden.places(s, len(clips))))
        spatial = View(golden[f'step{s}/x3'])
        kept = remaining(golden[f'step{s}/csm_drawn'], 25).expand(len(clips), -1)
        spatial.notes.update(CentralSpatialMasking().notes({'joints': kept}, 12))
        return {'query': View(golden[f'step{s}/x1']), 'temporal': temporal, 'spatial': spatial}


def temporal_masking():
    return MotionAttentionTemporalMasking(per='batch', on='stream', absent=True)


def build(golden, **changes):
    meta = golden.meta
    width = dict(base_channels=meta['hc'], out_channels=meta['hd'])
    projector = dict(type='MLP', hidden_channels=meta['projector'], out_channels=meta['projector'], num_layers=3)
    norms = dict(norm_cfg=dict(type='BN1d'), out_norm_cfg=dict(type='BN1d', affine=False))
    model = PSTL(
        backbone=dict(type='STGCN', layout='ntu25', graph='spatial', dropout=0.0, **width),
        projector=dict(projector, **norms),
        redundancy_weight=meta['lambd'],
        **{'project_again': True, **changes},
    )
    model.load_state_dict(golden.converted('state0'))
    model.data_preprocessor = ReplayPreprocessor(golden)
    return model.train()


def optimiser(model, meta):
    """The released Adam in the epoch of the golden steps."""
    betas, decay = tuple(meta['betas']), meta['weight_decay']
    adam = torch.optim.Adam(model.parameters(), meta['base_lr'], betas, meta['eps'], weight_decay=decay)
    wrapper = RecordingOptimWrapper(adam)
    cfg = dict(type='WarmupCosineLR', warmup=meta['warmup_epochs'], epochs=meta['epochs'], by_epoch=True)
    schedule = PARAM_SCHEDULERS.build(cfg, default_args=dict(optimizer=wrapper))
    for _ in range(meta['epoch']):
        wrapper.step()  # without gradients: the schedule counts the steps
        schedule.step()
    return wrapper


@pytest.mark.parametrize('step', [1, 2])
def test_frames_by_motion(step):
    golden = PSTLGolden()
    x, d = golden[f'step{step}/x2'], golden.meta['frames_dropped_by_motion']
    motion = frame_motion(x, 3, absent=True)
    assert_close(motion, golden[f'step{step}/matm_motion'], 'motion')
    assert torch.equal(stillest(motion, 12 - d), golden[f'step{step}/matm_still'])
    op, params = temporal_masking(), golden.places(step, len(x))
    frames = golden[f'step{step}/matm_frames']
    assert torch.equal(op.frames(x, params), frames) and op.frames_left(12) == golden.meta['frames_kept']
    expected = torch.stack([clip[:, kept] for clip, kept in zip(x, frames, strict=True)])
    assert torch.equal(op.change(x, params, None), expected)


def test_joints_by_degree():
    golden = PSTLGolden()
    assert torch.equal(by_degree(get_layout('ntu25')), golden['csm_multiset'])
    assert round(CentralSpatialMasking().ratio * 25) == golden.meta['joints_drawn'] == len(golden['step1/csm_drawn'])
    assert len(remaining(golden['step2/csm_drawn'], 25)) == 25 - 7  # one joint was drawn twice


def test_features_embeddings_and_correlations():
    golden = PSTLGolden()
    model = build(golden)
    inputs = model.data_preprocessor({'inputs': golden['step1/x1']}, training=True)['inputs']
    assert torch.equal(inputs['query'], to_model(golden['step1/x1']))
    joints, z = {'joints': inputs['spatial.joints'][0]}, {}
    for number, view, options in ((1, 'query', {}), (2, 'temporal', {}), (3, 'spatial', joints)):
        pooled = model.encoder.map(inputs[view], **options).pool()
        assert_close(pooled, golden[f'step1/feature{number}'], f'features of view {number}')
        z[number] = model.encoder.projector(pooled)
        assert_close(z[number], golden[f'step1/z{number}'], f'embeddings of view {number}')
    for other in (2, 3):
        assert_close(cross_correlation(z[1], z[other]), golden[f'step1/correlation_1{other}'], f'correlation {other}')


def test_two_steps():
    golden = PSTLGolden()
    meta, model = golden.meta, build(golden)
    wrapper = optimiser(model, meta)
    terms = {'loss': 'loss_total', 'L_temporal': 'loss_temporal', 'L_spatial': 'loss_joint'}
    for step, logs, runner in train_steps(model, golden, [], optim_wrapper=wrapper):
        assert_step(golden, model, 'pstl', step, logs, terms, runner)
        assert wrapper.param_groups[0]['lr'] == pytest.approx(float(golden[f'step{step}/lr']), rel=1e-12)


def test_projected_once_the_losses_and_gradients_are_the_same():
    golden, found = PSTLGolden(), {}
    for again in (True, False):
        model = build(golden, project_again=again)
        losses = model(**model.data_preprocessor({'inputs': golden['step1/x1']}, training=True), mode='loss')
        losses['loss'].backward()
        count = model.encoder.projector.layers[7].num_batches_tracked
        assert count - golden.converted('state0')['encoder.projector.layers.7.num_batches_tracked'] == 3 + again
        found[again] = [*losses.values(), *(p.grad for p in model.parameters())]
    for ours, released in zip(found[False], found[True], strict=True):
        assert_close(ours, released, 'projected once', tolerance=1e-12)
