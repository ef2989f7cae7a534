"""Every backbone trains under every method."""

import pytest
import torch
from mmengine.optim import OptimWrapper

from skeattn.errors import ConfigError
from skeattn.registry import MODELS
from skeattn.skeletons import get_layout
from tests.models.tiny import flush

LAYOUTS = {'ntu25': 2, 'kinect20': 1}  # layout -> number of persons

# One line per backbone: its type, and the arguments that make it small.
BACKBONES = {
    'STGCN': dict(base_channels=8, out_channels=16),
    'AGCN': dict(base_channels=8, out_channels=16),
    'CTRGCN': dict(base_channels=8, out_channels=16),
    'STGCNPP': dict(base_channels=8, out_channels=16),
    'SkeletonTransformer': dict(depth=2, num_heads=2, out_channels=16),
    'RotaryTransformer': dict(depth=2, num_heads=2, out_channels=16, patch=4),
    'BIGRU': dict(hidden_channels=32, num_layers=2),
    'DSTA': dict(widths=(8, 8, 16), inner_widths=(4, 4, 4), strides=(1, 2, 2)),
}
# Backbones that need num_persons, which the pipeline would set.
PERSONS = ('BIGRU',)

NORMAL = dict(crop=dict(type='Crop'), shear=dict(type='Shear'))
LIKE = dict(like='query')
CROPPED = dict(query=NORMAL, key=LIKE)


def mixed(stride):
    mix = dict(type='SkeleMix', parts=(2, 3), units=(0.25, 0.44), unit_frames=stride, on='stream')
    return dict(source='query', skelemix=mix)


STILL = dict(LIKE, frames=dict(type='MotionAttentionTemporalMasking', on='stream'))
CENTRAL = dict(type='CentralSpatialMasking')
MASKED = dict(LIKE, mask=dict(type='RandomJointMask', ratio=0.1, on='stream'))
# A method with its views (a function of the temporal stride) and its other arguments.
METHODS = {
    'SkeletonCLR': (lambda stride: CROPPED, {}),
    'SkeAttnCLR': (lambda stride: dict(CROPPED, mix=mixed(4)), dict(mhsam=dict(type='MHSAM', num_heads=4))),
    'SkeleMixCLR': (lambda stride: dict(CROPPED, mix=mixed(stride)), {}),
    'AimCLR': (lambda stride: dict(CROPPED, extreme=LIKE), {}),
    'HiCLR': (lambda stride: dict(CROPPED, strong=LIKE, stronger=MASKED), {}),
    'CrosSCLR': (lambda stride: CROPPED, {}),
    'PSTL': (lambda stride: dict(query=NORMAL, temporal=STILL, spatial=dict(LIKE, joints=CENTRAL)), {}),
    'Recognizer': (lambda stride: dict(query=NORMAL), dict(head=dict(type='LinearHead', num_classes=3))),
}
EDGES = dict(type='DropAddEdges')
# Methods without a queue, and backbones with a graph.
NO_QUEUE = ('PSTL', 'Recognizer')
GRAPHS = ('STGCN', 'AGCN', 'CTRGCN', 'STGCNPP')


def build(backbone, method, layout, whole_graph=False, **changes):
    torch.manual_seed(0)
    persons = dict(num_persons=LAYOUTS[layout]) if backbone in PERSONS else {}
    encoder = dict(type=backbone, layout=layout, **BACKBONES[backbone], **persons)
    stride = MODELS.build(encoder).temporal_stride
    views, own = METHODS[method]
    views = views(stride)
    if method == 'PSTL' and backbone not in GRAPHS and not whole_graph:
        views['spatial'] = LIKE
    stream = ['joint', 'motion'] if method == 'CrosSCLR' else 'joint'
    projector = dict(type='MLP', hidden_channels=16, out_channels=8, norm_cfg=dict(type='BN1d'))
    contrast = dict(queue=dict(size=16), loss=dict(type='InfoNCE'))
    return MODELS.build(
        dict(
            type=method,
            data_preprocessor=dict(type='SkeletonPreprocessor', layout=layout, stream=stream, views=views),
            backbone=encoder,
            **({} if method == 'Recognizer' else dict(projector=projector)),
            **({} if method in NO_QUEUE else contrast),
            **own,
            **changes,
        )
    )


def batch(layout, iteration=0):
    generator = torch.Generator().manual_seed(iteration)
    clips = torch.randn(4, 3, 16, get_layout(layout).num_joints, LAYOUTS[layout], generator=generator)
    clips[:2, ..., 1:] = 0  # clips of one person
    return dict(inputs=clips, labels=torch.tensor([0, 1, 2, 0]))


def train(model, layout, iterations=2):
    """The losses of a few iterations, with the work of the hooks between them."""
    optimizer = OptimWrapper(torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.01))
    losses = []
    for i in range(iterations):
        model.data_preprocessor.begin_iteration(0, i)
        losses.append(model.train_step(batch(layout, i), optimizer)['loss'].item())
        if hasattr(model, 'update_key_encoder'):
            model.update_key_encoder(0.9, buffers=True)
        flush(model)
    return losses


def check_trains(model, layout):
    start = {name: p.detach().clone() for name, p in model.named_parameters()}
    losses = train(model.train(), layout)
    assert all(torch.tensor(losses).isfinite()) and min(losses) > 0
    still = [name for name, p in model.named_parameters() if torch.equal(p, start[name])]
    assert not still
    assert all(p.isfinite().all() for p in model.parameters())
    features = model.eval().features(batch(layout))
    assert features.shape[0] == 4 and features.isfinite().all()


@pytest.mark.slow
@pytest.mark.parametrize('layout', LAYOUTS)
@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('backbone', BACKBONES)
def test_a_backbone_trains_under_a_method(backbone, method, layout):
    check_trains(build(backbone, method, layout), layout)


@pytest.mark.parametrize('persons', ['all', 'present'])
@pytest.mark.parametrize('backbone', ['BIGRU', 'DSTA'])
def test_the_papers_encoders_train_with_the_paper_s_method(backbone, persons):
    check_trains(build(backbone, 'SkeAttnCLR', 'ntu25', persons=persons), 'ntu25')


@pytest.mark.slow
@pytest.mark.parametrize('backbone', BACKBONES)
def test_hiclr_changes_edges_where_there_is_a_graph(backbone):
    if backbone in GRAPHS:
        assert all(torch.tensor(train(build(backbone, 'HiCLR', 'ntu25', edges=EDGES), 'ntu25', 1)).isfinite())
    else:
        with pytest.raises(ConfigError, match=r'model\.edges=None'):
            build(backbone, 'HiCLR', 'ntu25', edges=EDGES)


@pytest.mark.parametrize('backbone', BACKBONES)
def test_pstl_leaves_joints_out_where_there_is_a_graph(backbone):
    if backbone in GRAPHS:
        assert all(torch.tensor(train(build(backbone, 'PSTL', 'ntu25'), 'ntu25', 1)).isfinite())
    else:
        with pytest.raises(ConfigError, match=r'views\.spatial\.joints=None'):
            build(backbone, 'PSTL', 'ntu25', whole_graph=True)


@pytest.mark.parametrize('backbone', BACKBONES)
def test_salient_masks_have_a_value_for_every_person_and_joint(backbone):
    model = build(backbone, 'SkeAttnCLR', 'ntu25').eval()
    stride = model.encoder_q.backbone.temporal_stride
    mask = model.salient_mask(batch('ntu25'))
    assert mask.shape == (4, 2, 16 // stride, 25) and mask.min() > 0 and mask.max() < 1


def test_skelemixclr_requires_the_stride_as_unit():
    model = build('BIGRU', 'SkeleMixCLR', 'ntu25')
    model.data_preprocessor.ops['mix']['skelemix'].unit_frames = 4
    with pytest.raises(ConfigError, match='BIGRU returns maps of 16 rows, the mixing grid has 4; set unit_frames=1'):
        train(model, 'ntu25', 1)
