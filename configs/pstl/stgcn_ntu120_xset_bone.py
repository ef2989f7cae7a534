_base_ = ['./stgcn_ntu120_xset.py', '../_base_/streams/bone.py']
