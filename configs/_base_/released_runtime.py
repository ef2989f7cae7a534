"""Updates of the key encoder as in the releases of the MoCo-style methods, and their linear evaluation."""

_base_ = './default_runtime.py'
default_hooks = dict(
    momentum=dict(base_momentum=0.999, schedule='constant', timing='before_step', buffers=False),
)
evaluation = dict(evaluators=dict(linear=dict(milestones=(80,))))
