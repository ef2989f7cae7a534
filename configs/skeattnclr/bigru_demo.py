_base_ = ['./stgcn_demo.py', '../_base_/models/bigru_small.py']
_base_.merge(_base_.pop('bigru'))
