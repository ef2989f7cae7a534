"""SLiM for sets of a thousand clips: views of 32 frames, a quarter of the width, half the depth, lighter masks.

Each global view has two local ones, of 16 and of 8 frames. A batch of 32 clips has 64 global views, to which Sinkhorn
would assign no more than 64 prototypes in a stable way. The term that spreads the class tokens has ten times its
released weight, which was better on the embedded set (configs/slim/README.md).
"""

_base_ = './slim.py'
model = dict(
    data_preprocessor=dict(
        views=dict(
            person=dict(centre=dict(joint='hip')),
            global1=dict(crop=dict(num_frames=32), mask=dict(ratio=(0.1, 0.5))),
            long1=dict(crop=dict(num_frames=16)),
            middle1=dict(crop=dict(num_frames=8)),
            another1=None,
            short1=None,
            another2=None,
            short2=None,
        ),
    ),
    backbone=dict(out_channels=64, depth=4, num_heads=4),
    projector=dict(hidden_channels=256, out_channels=64, prototypes=64),
    koleo_weight=1.0,
    init_cfg=dict(std=0.04),
)
