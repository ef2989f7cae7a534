"""UTD-MHAD, cross-subject: odd subjects train."""

layout = 'kinect20'
dataset = dict(
    type='SkeletonDataset',
    data='data/utdmhad',
    protocol='xsub',
    pipeline=dict(
        centre=dict(type='Centre', joint='hip', reference='frame'),
        resample=dict(type='Resample', num_frames=64, length='released'),
        align=dict(type='AlignView', mode='yaw_frame'),
        pack=dict(type='PackClip', num_persons=1),
    ),
)
