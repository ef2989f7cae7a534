"""Lines of a config that train a small MAMP, and tune its encoder."""

BACKBONE = dict(out_channels=8, depth=3, num_heads=2, dropout=0.0, norm_input=False, position='learnt', num_frames=16)
PREDICTOR = dict(type='MLP', hidden_channels=12, norm_cfg=dict(type='BN1d'), last_bias=True)
TRANSFORMER = f"_E = dict(type='SkeletonTransformer', **{BACKBONE})\n"
MAMP = f"""{TRANSFORMER}
model = dict(
    _delete_=True, type='MAMP', backbone=dict(_E), decoder=dict(depth=1),
    data_preprocessor=dict(type='SkeletonPreprocessor', views=dict(query=dict(noise=dict(type='TokenNoise')))),
)
default_hooks.update(momentum=None, queue=None)
"""
STARS_LINES = f"""{TRANSFORMER}
model = dict(
    _delete_=True, type='STARS', backbone=dict(_E), predictor={PREDICTOR}, queue=dict(size=12),
    data_preprocessor=dict(type='SkeletonPreprocessor', views=dict(query=dict())),
)
default_hooks.update(momentum=None)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=0.01),
    paramwise_cfg=dict(layer_decay=0.45),
    clip_grad=dict(type='each', max_norm=3.0),
)
"""
