_base_ = ['./stgcn_ntu60_xview_paper.py', '../_base_/streams/motion.py']
