_base_ = ['./stgcn_utdmhad_xsub.py', '../_base_/streams/bone.py']
