_base_ = ['./stgcn_demo.py', '../_base_/models/ctrgcn.py']
_base_.merge(_base_.pop('ctrgcn'))
