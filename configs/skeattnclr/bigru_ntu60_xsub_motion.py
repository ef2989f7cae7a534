_base_ = ['./bigru_ntu60_xsub.py', '../_base_/streams/motion.py']
