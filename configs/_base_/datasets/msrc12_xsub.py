"""MSRC-12 Kinect Gesture, cross-subject: odd subjects train."""

_base_ = './msraction3d_xsub.py'
num_classes = 12
dataset = dict(data='data/msrc12')
