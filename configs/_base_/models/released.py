"""What the releases of SkeletonCLR, CrosSCLR, AimCLR and HiCLR share; laid over a method as small.py is."""

released = dict(
    model=dict(
        backbone=dict(graph='spatial'),
        projector=dict(norm_cfg=None, bias=True),
        loss=dict(temperature=0.07),
        key_init='independent',
    ),
)
