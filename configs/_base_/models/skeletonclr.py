"""SkeletonCLR as the paper's Baseline*: SkeAttnCLR's settings. Its temperature and width are not stated; they are our choice."""

_base_ = './stgcn_moco.py'
model = dict(type='SkeletonCLR')
