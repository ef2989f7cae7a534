_base_ = ['./stgcn_nwucla_xview.py', '../_base_/models/bigru_small.py']
_base_.merge(_base_.pop('bigru'))
