_base_ = ['./skeletonclr.py', './small_moco.py']
model = _base_.pop('small')
