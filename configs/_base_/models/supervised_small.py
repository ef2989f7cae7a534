_base_ = ['./supervised.py', './small.py']
model = _base_.pop('small')
