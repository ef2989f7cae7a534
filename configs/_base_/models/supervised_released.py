"""Supervised ST-GCN at full width, without augmentation."""

_base_ = './supervised.py'
model = dict(
    data_preprocessor=dict(views=dict(query=dict(crop=None, shear=None))),
    backbone=dict(base_channels=64, graph='spatial'),
)
