"""KARD, cross-subject: odd subjects train; loso01 to loso10 leave one subject out."""

_base_ = './msraction3d_xsub.py'
layout = 'kard15'
num_classes = 18
dataset = dict(data='data/kard')
