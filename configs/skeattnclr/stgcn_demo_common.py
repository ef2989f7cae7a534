_base_ = './stgcn_demo.py'
