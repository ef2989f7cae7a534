_base_ = ['./stgcn_ntu60_xsub_paper.py', '../_base_/streams/bone.py']
