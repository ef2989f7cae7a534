_base_ = ['./stgcn_pkummd2_xsub_paper.py', '../_base_/streams/bone.py']
