_base_ = ['./stgcn_nwucla_xview.py', '../_base_/streams/bone.py']
