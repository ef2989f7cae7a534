_base_ = ['./skelemixclr_plus.py', './small_moco.py']
model = _base_.pop('small')
