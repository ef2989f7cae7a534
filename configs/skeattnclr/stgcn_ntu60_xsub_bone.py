_base_ = './stgcn_ntu60_xsub.py'
stream = 'bone'
