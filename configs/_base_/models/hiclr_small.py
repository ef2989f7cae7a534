_base_ = ['./hiclr.py', './small_moco.py']
model = _base_.pop('small')
