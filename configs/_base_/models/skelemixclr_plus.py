"""SkeleMixCLR+: three mixed clips, whose regional losses are summed."""

_base_ = './skelemixclr.py'
model = dict(
    data_preprocessor=dict(views=dict(mix2=dict(source='query', like='mix'), mix3=dict(source='query', like='mix'))),
    repeats='sum',
)
