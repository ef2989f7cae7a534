"""Linear evaluation as released."""

_base_ = './linear.py'
epochs = 150
milestones = (60, 100)
