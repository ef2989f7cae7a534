"""Momentum contrast: the common part of all self-supervised methods, with the settings of SkeAttnCLR."""

_base_ = './stgcn.py'
model = dict(
    data_preprocessor=dict(views=dict(key=dict(like='query'))),
    projector=dict(type='MLP', hidden_channels=256, out_channels=128, norm_cfg=dict(type='BN1d')),
    queue=dict(size=32768),
    loss=dict(type='InfoNCE', temperature=0.2),
    key_init='copy',
)
