"""As clean.py, but each person is centred on its own hip in every frame: only posture and heading are left.

On NW-UCLA cross-view this is the best of the centres for raw coordinates (docs/data.md). Laid over a data set by
`_base_.merge(_base_.pop('clean'))`, too.
"""

_base_ = './clean.py'
clean = dict(dataset=dict(pipeline=dict(centre=dict(reference='frame'))))
