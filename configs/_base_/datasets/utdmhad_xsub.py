"""UTD-MHAD, cross-subject: odd subjects train."""

_base_ = './nwucla_xview.py'
num_classes = 27
dataset = dict(data='data/utdmhad', split='xsub')
