_base_ = ['./aimclr.py', './released.py', './extreme_released.py']
_base_.merge(_base_.pop('released'))
model = dict(data_preprocessor=dict(views=dict(extreme=dict(**_base_.pop('extreme'), temporal_flip=None))))
