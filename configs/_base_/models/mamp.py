"""MAMP as released: clips of 120 frames, tokens of 4 frames, of which a tenth is encoded.

The decoder has 3 layers on NTU-60 and 5 on the other sets, where mamp_deep.py is the base.
"""

model = dict(
    type='MAMP',
    data_preprocessor=dict(
        type='SkeletonPreprocessor',
        views=dict(
            query=dict(
                crop=dict(type='CropResize', share=(0.5, 1.0)),
                rotation=dict(type='RandomRotation'),
                noise=dict(type='TokenNoise', patch=4),
            ),
        ),
    ),
    backbone=dict(
        type='SkeletonTransformer',
        out_channels=256,
        depth=8,
        num_heads=8,
        ratio=4.0,
        patch=4,
        dropout=0.0,
        norm_input=False,
        position='learnt',
        num_frames=120,
    ),
    decoder=dict(depth=3),
    target='motion',
    mask='motion',
    mask_ratio=0.9,
    tau=0.8,
    persons='all',
    init_cfg=dict(type='Xavier', layer='Linear', distribution='uniform'),
)
