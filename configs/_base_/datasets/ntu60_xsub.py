"""NTU RGB+D, cross-subject, preprocessed as released."""

layout = 'ntu25'
num_classes = 60
dataset = dict(
    type='SkeletonDataset',
    data='data/ntu60',
    split='xsub',
    pipeline=dict(
        trim=None,  # positions of the steps of pipelines/clean.py
        fill=None,
        centre=dict(type='Centre', joint='root', reference='frame'),
        resample=dict(type='Resample', num_frames=64, length='released'),
        align=dict(type='AlignView', mode='yaw_frame'),
        pack=dict(type='PackClip', num_persons=2),
    ),
)
