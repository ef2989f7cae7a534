_base_ = ['./stgcn_ntu60_xview.py', '../_base_/streams/bone.py']
