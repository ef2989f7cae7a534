"""Supervised ST-GCN, on clips cropped and sheared as the self-supervised methods' are and augmented no further."""

_base_ = './stgcn.py'
model = dict(type='Recognizer', head=dict(type='LinearHead'))
