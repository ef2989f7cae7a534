_base_ = ['./stgcn_ntu120_xset_paper.py', '../_base_/streams/motion.py']
