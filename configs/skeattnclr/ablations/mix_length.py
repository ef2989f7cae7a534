"""Longer pieces pasted, as in SkeleMixCLR."""

_base_ = '../stgcn_ntu60_xsub.py'
model = dict(data_preprocessor=dict(views=dict(mix=dict(skelemix=dict(units=(7, 11))))))
