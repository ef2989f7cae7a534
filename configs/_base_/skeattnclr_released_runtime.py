"""A momentum schedule one epoch ahead, and the evaluation of the released configs, not the paper's."""

_base_ = './default_runtime.py'
default_hooks = dict(momentum=dict(ahead_epochs=1))
evaluation = dict(evaluators=dict(knn=dict(k=(10, 20, 40)), linear=dict(epochs=150, milestones=(60, 100))))
