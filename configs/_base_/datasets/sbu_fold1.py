"""SBU Kinect Interaction, the first of five folds; two persons."""

_base_ = './msraction3d_xsub.py'
layout = 'sbu15'
num_classes = 8
dataset = dict(data='data/sbu', split='fold1', pipeline=dict(pack=dict(num_persons=2)))
