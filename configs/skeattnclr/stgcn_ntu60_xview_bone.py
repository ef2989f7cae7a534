_base_ = './stgcn_ntu60_xview.py'
stream = 'bone'
