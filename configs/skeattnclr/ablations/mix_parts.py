"""Fewer parts pasted, as in SkeleMixCLR."""

_base_ = '../stgcn_ntu60_xsub.py'
model = dict(data_preprocessor=dict(views=dict(mix=dict(skelemix=dict(parts=(2, 3))))))
