"""MSR Action3D, cross-subject: odd subjects train. Ends without a body are cut, short gaps of joints are filled."""

_base_ = './nwucla_xview.py'
num_classes = 20
dataset = dict(
    data='data/msraction3d',
    split='xsub',
    pipeline=dict(
        trim=dict(_delete_=True, type='TrimEmpty', where='ends'),
        fill=dict(_delete_=True, type='FillGaps', longest=10),
    ),
)
