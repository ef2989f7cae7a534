"""Three minutes on the embedded set: the small settings with a narrower encoder (8 channels instead of 16).

Merged over a small config by `_base_.merge(_base_.pop('demo'))`, because other bases set `model` and `evaluation`, too.
"""

demo = dict(
    model=dict(backbone=dict(base_channels=8, out_channels=64), persons='present'),
    train_cfg=dict(max_epochs=28),
    evaluation=dict(interval=4),
)
