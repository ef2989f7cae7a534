"""As clean.py, but each person is centred on its own hip in every frame: only posture and heading remain.

On NW-UCLA cross-view this centre is the best one for raw coordinates (docs/data.md). Merged over a data set by
`_base_.merge(_base_.pop('clean'))`, too.
"""

_base_ = './clean.py'
clean = dict(dataset=dict(pipeline=dict(centre=dict(reference='frame'))))
