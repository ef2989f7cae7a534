_base_ = ['./stgcn_ntu60_xsub.py', '../_base_/models/bigru.py']
_base_.merge(_base_.pop('bigru'))
