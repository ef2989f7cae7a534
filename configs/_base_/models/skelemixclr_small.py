_base_ = ['./skelemixclr.py', './small_moco.py']
_base_.merge(_base_.pop('small'))
