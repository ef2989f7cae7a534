_base_ = './transformer_ntu120_xsub.py'
dataset = dict(split='xset')
