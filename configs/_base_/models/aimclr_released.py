_base_ = ['./aimclr.py', './released.py', './extreme_released.py']
model = dict(**_base_.pop('released'), data_preprocessor=dict(views=dict(extreme=_base_.pop('extreme'))))
