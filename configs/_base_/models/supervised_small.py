_base_ = ['./supervised.py', './small.py']
_base_.merge(_base_.pop('small'))
