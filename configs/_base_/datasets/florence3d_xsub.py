"""Florence 3D Actions, cross-subject: odd actors train; the authors leave one actor out, loso01 to loso10."""

_base_ = './msraction3d_xsub.py'
layout = 'florence15'
num_classes = 9
dataset = dict(data='data/florence3d')
