_base_ = ['./stgcn_ntu120_xsub.py', '../_base_/streams/bone.py']
