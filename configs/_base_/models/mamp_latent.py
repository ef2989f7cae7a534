"""The target of Skeleton2vec: hidden states of an averaged teacher. Its temporal tubes and LayerScale are not here."""

_base_ = './mamp.py'
model = dict(target='latent')
