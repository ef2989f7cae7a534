"""SkeAttnCLR: the paper's settings, the release's where the paper gives none, at the width of the other methods."""

_base_ = './stgcn_moco.py'
model = dict(
    type='SkeAttnCLR',
    data_preprocessor=dict(
        views=dict(mix=dict(source='query', skelemix=dict(type='SkeleMix', parts=(3, 4), units=(4, 7)))),
    ),
    mhsam=dict(type='MHSAM', num_heads=8, lam=2.0),
    mu=0.5,
    heads='paper',
    predictor=dict(type='MLP', hidden_channels=256, out_channels=128, norm_cfg=dict(type='BN1d')),
)
