"""Configs of a transfer: where a model was pre-trained, and the data set that it is evaluated on."""

from skeattn.engine.config import read_config
from tests.conftest import ROOT
from tests.engine.toy import CONFIG, write_config, write_set

TARGET = """
layout = {layout!r}
num_classes = 4
dataset = dict(
    data='{data}',
    split='xsub',
    pipeline=dict(
        centre=dict(type='Centre', joint='hip', reference='first'),
        resample=dict(type='Resample', num_frames=40, length='all'),
        pack=dict(type='PackClip', num_persons=1),
    ),
)
"""


def write_target(folder, layout='ntu25', lines=''):
    data = folder / f'set_{layout}'
    if not data.exists():
        write_set(data, layout)
    path = folder / f'target_{layout}.py'
    path.write_text(TARGET.format(layout=layout, data=data) + lines)
    return path


def write_model(folder, layout, model='skeletonclr', lines=''):
    """A config of pre-training whose data set is not there."""
    path = folder / f'model_{layout}.py'
    text = CONFIG.format(root=ROOT, data=folder / 'gone', model=model, views='').replace('ntu25', layout)
    path.write_text(text + lines)
    return path


SUPERVISED = """
num_classes = {classes}
model = dict(
    _delete_=True, type='Recognizer', head=dict(type='LinearHead'),
    backbone=dict(type='STGCN', base_channels=2, out_channels=8),
    data_preprocessor=dict(type='SkeletonPreprocessor', views=dict(query=dict())),
)
evaluation = dict(source='logits', evaluators=dict(knn=None, topk=dict(type='TopK')))
"""


def supervised(folder, classes):
    path = folder / 'supervised.py'
    path.write_text(f"_base_ = '{write_config(folder, 'skeletonclr')}'\n" + SUPERVISED.format(classes=classes))
    return read_config(path)
