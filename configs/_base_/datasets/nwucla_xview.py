"""Northwestern-UCLA, cross-view: cameras 1 and 2 train."""

_base_ = './ntu60_xview.py'
layout = 'kinect20'
num_classes = 10
dataset = dict(data='data/nwucla', pipeline=dict(centre=dict(joint='hip'), pack=dict(num_persons=1)))
