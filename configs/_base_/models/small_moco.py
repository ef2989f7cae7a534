"""small.py for momentum contrast: a queue well below the set. One as long holds every clip's own key as a negative."""

_base_ = './small.py'
small = dict(model=dict(queue=dict(size=256), loss=dict(temperature=0.1)))
