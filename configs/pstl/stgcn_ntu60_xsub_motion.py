_base_ = ['./stgcn_ntu60_xsub.py', '../_base_/streams/motion.py']
