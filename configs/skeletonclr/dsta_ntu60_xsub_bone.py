_base_ = ['./dsta_ntu60_xsub.py', '../_base_/streams/bone.py']
