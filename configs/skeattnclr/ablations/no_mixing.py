"""Nothing is pasted: the mask looks at the query itself."""

_base_ = '../stgcn_ntu60_xsub.py'
model = dict(data_preprocessor=dict(views=dict(mix=dict(skelemix=None))))
