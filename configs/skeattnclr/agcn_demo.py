_base_ = ['./stgcn_demo.py', '../_base_/models/agcn.py']
_base_.merge(_base_.pop('agcn'))
