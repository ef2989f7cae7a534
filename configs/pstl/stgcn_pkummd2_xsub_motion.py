_base_ = ['./stgcn_pkummd2_xsub.py', '../_base_/streams/motion.py']
