_base_ = ['./skeletonclr.py', './released.py']
model = _base_.pop('released')
