"""SkeletonCLR: momentum contrast and nothing else."""

_base_ = './stgcn_moco.py'
model = dict(type='SkeletonCLR')
