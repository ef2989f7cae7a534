_base_ = ['./skelemixclr_plus.py', './small_moco.py']
_base_.merge(_base_.pop('small'))
