_base_ = ['./stgcn_ntu60_xsub.py', '../_base_/models/ctrgcn.py']
_base_.merge(_base_.pop('ctrgcn'))
