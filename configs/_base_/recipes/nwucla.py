"""NW-UCLA for any method: the clips are turned and scaled as well, for the test camera is none of the training's.

60 epochs are 1,860 steps; more of them change less than another seed does (docs/results). Merged over a method's
settings by `_base_.merge(_base_.pop('recipe'))`, as mmengine refuses two bases that both set `model`.
"""

recipe = dict(
    train_cfg=dict(max_epochs=60),
    model=dict(
        data_preprocessor=dict(
            views=dict(
                query=dict(
                    rotation=dict(type='RandomRotation', degrees=(15, 30, 15)),
                    scale=dict(type='ScaleAxes', factors=(0.8, 1.2)),
                ),
            ),
        ),
    ),
)
