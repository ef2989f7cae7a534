"""Skeleton2vec: hidden states of an averaged teacher are the target, tubes of 5 patches are masked, LayerScale."""

_base_ = './mamp.py'
model = dict(target='latent', tau=0.15, tube=5, backbone=dict(layer_scale=1e-4))
