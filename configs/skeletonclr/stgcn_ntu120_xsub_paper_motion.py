_base_ = ['./stgcn_ntu120_xsub_paper.py', '../_base_/streams/motion.py']
