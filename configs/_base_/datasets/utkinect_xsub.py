"""UTKinect-Action3D, cross-subject: odd subjects train; loso01 to loso10 leave one subject out."""

_base_ = './msraction3d_xsub.py'
num_classes = 10
dataset = dict(data='data/utkinect')
