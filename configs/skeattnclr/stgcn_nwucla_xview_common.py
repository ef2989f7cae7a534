_base_ = './stgcn_nwucla_xview.py'
