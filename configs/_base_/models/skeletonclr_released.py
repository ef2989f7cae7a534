_base_ = ['./skeletonclr.py', './released.py']
_base_.merge(_base_.pop('released'))
