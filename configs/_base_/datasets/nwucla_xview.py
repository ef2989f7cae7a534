"""Northwestern-UCLA, cross-view: cameras 1 and 2 train."""

layout = 'kinect20'
dataset = dict(
    type='SkeletonDataset',
    data='data/nwucla',
    protocol='xview',
    pipeline=dict(
        centre=dict(type='Centre', joint='hip', reference='frame'),
        resample=dict(type='Resample', num_frames=32, length='released'),
        align=dict(type='AlignView', mode='yaw_frame'),
        pack=dict(type='PackClip', num_persons=1),
    ),
)
