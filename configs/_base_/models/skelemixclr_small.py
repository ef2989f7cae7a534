_base_ = ['./skelemixclr.py', './small_moco.py']
model = _base_.pop('small')
