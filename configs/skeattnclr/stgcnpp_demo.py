_base_ = ['./stgcn_demo.py', '../_base_/models/stgcnpp.py']
_base_.merge(_base_.pop('stgcnpp'))
