"""SkeletonCLR as the paper's Baseline*: SkeAttnCLR's settings; temperature and width, not stated, are our choice."""

_base_ = './stgcn_moco.py'
model = dict(type='SkeletonCLR')
