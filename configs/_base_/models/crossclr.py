"""CrosSCLR: three streams trained together; later each learns from the nearest neighbours of the others."""

_base_ = './stgcn_moco.py'
stream = ['joint', 'motion', 'bone']
model = dict(type='CrosSCLR', top_k=1, context=True)
