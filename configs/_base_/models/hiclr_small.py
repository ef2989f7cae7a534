_base_ = ['./hiclr.py', './small_moco.py']
_base_.merge(_base_.pop('small'))
