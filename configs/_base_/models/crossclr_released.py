"""Motion and bone project through the joint stream's head; while mining, only the motion key encoder is updated."""

_base_ = ['./crossclr.py', './released.py']
_base_.merge(_base_.pop('released'))
model = dict(shared_heads=True, stale_keys=True)
