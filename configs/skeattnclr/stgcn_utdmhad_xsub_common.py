_base_ = './stgcn_utdmhad_xsub.py'
