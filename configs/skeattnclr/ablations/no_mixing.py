"""Nothing is pasted: the mask is computed on the query itself."""

_base_ = '../stgcn_ntu60_xsub.py'
model = dict(data_preprocessor=dict(views=dict(mix=dict(skelemix=None))))
