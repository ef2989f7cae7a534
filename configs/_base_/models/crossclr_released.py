"""Motion and bone project through the joint stream's head; while mining, only the motion key encoder follows."""

_base_ = ['./crossclr.py', './released.py']
model = dict(**_base_.pop('released'), shared_heads=True, stale_keys=True)
