"""CrosSCLR: three streams trained together; each later learns from what the others find alike."""

_base_ = './stgcn_moco.py'
stream = ['joint', 'motion', 'bone']
model = dict(type='CrosSCLR', top_k=1, context=True)
