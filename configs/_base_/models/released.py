"""Common settings of the releases of SkeletonCLR, CrosSCLR, AimCLR and HiCLR; merged over a method like small.py."""

released = dict(
    model=dict(
        backbone=dict(graph='spatial'),
        projector=dict(norm_cfg=None, bias=True),
        loss=dict(temperature=0.07),
        key_init='independent',
    ),
)
