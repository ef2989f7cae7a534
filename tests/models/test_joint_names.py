"""Joints known by name: their order and their number mean nothing, their words everything."""

import dataclasses

import pytest
import torch
from torch import nn

from skeattn.errors import ConfigError
from skeattn.models import MAMP, SkeletonPreprocessor
from skeattn.models.backbones import BIGRU, DSTA, STGCN, SkeletonTransformer
from skeattn.models.encoder import Encoder
from skeattn.models.joint_names import JointNames, check_words, read_layout, vocabulary, words_of
from skeattn.skeletons import LAYOUTS, SkeletonLayout, get_layout
from tests.models.masked import mamp

SMALL = dict(out_channels=16, depth=2, num_heads=2, dropout=0.0)
KNOWN = ['kinect20', 'ntu25']


def permuted(layout: SkeletonLayout, order: list[int]) -> SkeletonLayout:
    place = {old: new for new, old in enumerate(order)}

    def moved(joints):
        return place[joints] if isinstance(joints, int) else tuple(place[joint] for joint in joints)

    return dataclasses.replace(
        layout,
        name='permuted',
        joints=tuple(layout.joints[joint] for joint in order),
        parents=tuple(place[layout.parents[joint]] for joint in order),
        mirror=tuple(map(moved, layout.mirror)),
        parts={part: moved(joints) for part, joints in layout.parts.items()},
        hip=moved(layout.hip),
        spine=tuple(map(moved, layout.spine)),
        shoulders=moved(layout.shoulders),
    )


@pytest.mark.parametrize(
    ('joint', 'words'),
    [
        ('left_knee', ('left', 'knee')),
        ('Left Knee', ('left', 'knee')),
        ('leftKnee', ('left', 'knee')),
        ('right_hand_tip', ('right', 'hand', 'tip')),
        ('spine1', ('spine', '1')),
        ('hip_centre', ('spine', 'base')),  # Kinect v1's name of NTU's joint
        ('spine_base', ('spine', 'base')),
        ('nose', ('nose',)),
    ],
)
def test_a_name_is_its_words(joint, words):
    assert words_of(joint) == words


@pytest.mark.parametrize('name', LAYOUTS)
def test_joints_of_a_shipped_layout_have_words_of_their_own(name):
    check_words(get_layout(name), [get_layout(name)])


def test_the_words_of_two_layouts_are_those_of_each():
    assert {*vocabulary([get_layout('kinect20')])} < {*vocabulary([get_layout('ntu25')])}
    assert {*vocabulary([get_layout('coco17')])} - {*vocabulary([get_layout('ntu25')])} == {'nose', 'eye', 'ear'}


@pytest.mark.parametrize('norm_input', [True, False])
@pytest.mark.parametrize('readout', ['tokens', 'map'])
def test_permuting_the_joints_permutes_the_tokens_and_leaves_the_mean(norm_input, readout):
    torch.manual_seed(0)
    backbone = SkeletonTransformer(KNOWN, norm_input=norm_input, **SMALL).eval()
    ntu, order = get_layout('ntu25'), torch.randperm(25).tolist()
    x = torch.randn(2, 2, 3, 8, 25)

    def read(layout, x):
        read_layout(backbone, layout)
        return backbone.tokens(x).unflatten(1, (2, -1)) if readout == 'tokens' else backbone(x).movedim(4, 2)

    ours, theirs = read(ntu, x), read(permuted(ntu, order), x[..., order])
    assert torch.allclose(theirs, ours[:, :, order], atol=1e-6)
    assert torch.allclose(theirs.mean(dim=2), ours.mean(dim=2), atol=1e-6)
    assert not torch.allclose(read(ntu, x[..., order]), theirs, atol=1e-3)  # the names matter


def test_permuting_the_joints_leaves_the_loss_of_a_masked_model():
    model, ntu = mamp(layout=['ntu25', 'kinect20']).double().eval(), get_layout('ntu25')
    order = torch.randperm(25, generator=torch.Generator().manual_seed(1)).tolist()
    x = torch.randn(2, 3, 16, 25, dtype=torch.float64)
    uniform = torch.rand(2, 4, 25, dtype=torch.float64)
    read_layout(model, ntu)
    ours = model.person_losses(x, uniform.flatten(1))
    read_layout(model, permuted(ntu, order))
    assert torch.allclose(model.person_losses(x[..., order], uniform[..., order].flatten(1)), ours, atol=1e-9)


def test_the_same_joint_has_the_same_vector_in_every_layout():
    names = JointNames(8, KNOWN)
    names.read('ntu25')
    ntu = names()
    names.read('kinect20')
    kinect = names()
    assert ntu.shape == (8, 1, 25) and kinect.shape == (8, 1, 20)
    joints = [get_layout(layout).joints for layout in ('ntu25', 'kinect20')]
    for one, other in (('left_knee', 'left_knee'), ('spine_base', 'hip_centre'), ('spine_upper', 'shoulder_centre')):
        assert torch.equal(ntu[..., joints[0].index(one)], kinect[..., joints[1].index(other)])
    table = {word: names.table[:, i] for i, word in enumerate(names.words)}
    expected = table['left'] + table['hand'] + table['tip']
    assert torch.allclose(ntu[:, 0, joints[0].index('left_hand_tip')], expected, atol=1e-7)


def test_a_layout_that_was_never_seen_is_read_by_its_words():
    backbone = SkeletonTransformer(['ntu25', 'openpose18'], **SMALL).eval()
    for name in ('coco17', 'kinect20', 'florence15'):
        read_layout(backbone, name)
        V = get_layout(name).num_joints
        assert backbone(torch.randn(1, 2, 3, 8, V)).shape == (1, 2, 16, 2, V)


def test_unknown_words_are_listed_with_their_joints_and_what_is_known():
    backbone = SkeletonTransformer(KNOWN, **SMALL)
    with pytest.raises(
        ConfigError, match=r"'coco17' .*'ear' \(left_ear, right_ear\), 'eye' .*'nose' \(nose\).*kinect20, "
    ):
        read_layout(backbone, 'coco17')


def test_two_joints_of_the_same_words_are_refused():
    layout = dataclasses.replace(get_layout('kinect20'), name='twice', joints=(
        *get_layout('kinect20').joints[:-1], 'left foot'))  # fmt: skip
    with pytest.raises(ConfigError, match="layout 'twice': left_foot and left foot have the same words"):
        JointNames(8, [layout])


def test_the_layout_of_several_has_to_be_chosen_and_that_of_one_has_not():
    x = torch.randn(1, 1, 3, 8, 20)
    with pytest.raises(ConfigError, match=r'reads the layouts kinect20, ntu25; choose that of the clips first'):
        SkeletonTransformer(KNOWN, **SMALL)(x)
    assert SkeletonTransformer(['kinect20'], **SMALL)(x).shape[-1] == 20
    with pytest.raises(ConfigError, match='lists no skeleton layout'):
        SkeletonTransformer([], **SMALL)


def test_an_encoder_is_checked_on_the_first_and_chooses_none():
    encoder = Encoder(dict(type='SkeletonTransformer', layout=KNOWN, **SMALL))
    with pytest.raises(ConfigError, match='choose that of the clips first'):
        encoder(torch.randn(1, 1, 3, 8, 20))


def test_without_a_list_nothing_changes():
    names = {*SkeletonTransformer('ntu25', **SMALL).state_dict()}
    by_name = {*SkeletonTransformer(['ntu25'], **SMALL).state_dict()}
    assert names - by_name == {'joints'} and by_name - names == {'names.table'}


@pytest.mark.parametrize('kind', [STGCN, DSTA, BIGRU])
def test_an_encoder_of_one_layout_refuses_several(kind):
    with pytest.raises(ConfigError, match=r"layout=\['kinect20', 'ntu25'\] are several, but only"):
        kind(KNOWN, **(dict(num_persons=2) if kind is BIGRU else {}))


def test_a_batch_names_its_layout():
    preprocessor = SkeletonPreprocessor(KNOWN)
    clips = dict(inputs=torch.randn(2, 3, 8, 20, 1))
    out = preprocessor({**clips, 'layout': 'kinect20'})['inputs']
    assert out['clip'].shape == (2, 1, 3, 8, 20) and out['clip.layout'] == 'kinect20'
    with pytest.raises(ConfigError, match='a batch must name its layout'):
        preprocessor(clips)
    with pytest.raises(ConfigError, match="have layout 'kinect20', but the model was built for 'ntu25'"):
        SkeletonPreprocessor('ntu25')({**clips, 'layout': 'kinect20'})


def test_every_part_of_a_method_reads_the_layout_of_the_batch():
    """Encoder, decoder and teacher; features of a batch are those of its own layout, whatever came before."""
    model: MAMP = mamp(layout=KNOWN, target='latent').eval()
    parts = [module for module in model.modules() if isinstance(module, JointNames)]
    batches = {name: dict(inputs=torch.randn(2, 3, 16, get_layout(name).num_joints, 1), layout=name) for name in KNOWN}
    features = {name: model.features(batch) for name, batch in batches.items()}
    assert len(parts) == 3 and all(part.layout.name == 'ntu25' for part in parts)
    model.data_preprocessor.begin_iteration(0, 0)
    loss = model(**model.data_preprocessor(batches['kinect20'], training=True), mode='loss')['loss']
    assert loss.isfinite() and all(part.layout.name == 'kinect20' for part in parts)
    for name, batch in batches.items():
        assert torch.equal(model.features(batch), features[name])
    assert isinstance(model.encoder.backbone.names.table, nn.Parameter)
