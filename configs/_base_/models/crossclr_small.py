_base_ = ['./crossclr.py', './small_moco.py']
model = _base_.pop('small')
