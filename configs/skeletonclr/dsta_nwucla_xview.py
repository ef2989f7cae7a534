_base_ = ['./stgcn_nwucla_xview.py', '../_base_/models/dsta_small.py']
_base_.merge(_base_.pop('dsta'))
