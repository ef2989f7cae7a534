_base_ = ['./aimclr.py', './small_moco.py']
model = _base_.pop('small')
