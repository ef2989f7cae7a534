_base_ = ['./stgcn_pkummd1_xsub.py', '../_base_/streams/bone.py']
