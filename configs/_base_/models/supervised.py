"""Supervised ST-GCN, with the crop and shear of the self-supervised methods and no other augmentation."""

_base_ = './stgcn.py'
model = dict(type='Recognizer', head=dict(type='LinearHead'))
