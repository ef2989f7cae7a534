"""SLiM as released: two global views of 64 frames, for each of them four local ones within it, tokens of 8 frames."""

model = dict(
    type='SLiM',
    data_preprocessor=dict(
        type='SkeletonPreprocessor',
        views=dict(
            person=dict(pick=dict(type='PickPerson'), centre=dict(type='CentreFirst', joint='spine_mid')),
            global1=dict(
                source='person',
                crop=dict(type='CropSample', share=(0.5, 1.0), num_frames=64),
                mirror=dict(type='SpatialFlip'),
                limbs=dict(type='LimbScale', probability=0.5),
                rotation=dict(type='RandomRotation', probability=0.5),
                noise=dict(type='GaussianNoise', probability=1.0),
                mask=dict(type='TubeMask', patch=8),
            ),
            global2=dict(
                source='person',
                like='global1',
                noise=dict(type='GaussianNoise', std=0.05, probability=0.1),
                drop=dict(type='AxisMask', probability=0.2),
                mask=None,
            ),
            long1=dict(
                within='global1',
                like='global1',
                crop=dict(type='CropSample', share=(0.35, 0.7), num_frames=32),
                noise=dict(type='GaussianNoise', probability=0.5),
            ),
            middle1=dict(like='long1', crop=dict(type='CropSample', share=(0.15, 0.4), num_frames=16)),
            another1=dict(like='middle1'),
            short1=dict(like='long1', crop=dict(type='CropSample', share=(0.05, 0.2), num_frames=8)),
            long2=dict(like='long1', within='global2'),
            middle2=dict(like='middle1', within='global2'),
            another2=dict(like='middle1', within='global2'),
            short2=dict(like='short1', within='global2'),
        ),
    ),
    backbone=dict(type='RotaryTransformer', out_channels=256, depth=8, num_heads=8, ratio=4.0, patch=8, registers=4),
    projector=dict(type='PrototypeHead', hidden_channels=2048, out_channels=256, prototypes=65536),
    student_temperature=0.1,
    koleo_weight=0.1,
    persons='present',
    init_cfg=dict(type='TruncNormal', layer='Linear', std=0.02),
)
