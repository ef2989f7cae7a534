"""NW-UCLA (kinect20) and the embedded set (ntu25): two skeletons, 10 + 17 classes, one encoder."""

_base_ = './nwucla_xview.py'
layout = ['kinect20', 'ntu25']
num_classes = 27
dataset = dict(
    data=['data/nwucla', 'data/demo'],
    split=['xview', 'xsub'],
    pipeline=dict(pack=dict(num_persons=2)),
)
