_base_ = ['./stgcn_pkummd1_xsub_paper.py', '../_base_/streams/bone.py']
