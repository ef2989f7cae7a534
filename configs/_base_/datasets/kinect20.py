"""NW-UCLA and UTD-MHAD read as one set: 10 + 27 classes, the training clips of each by its own split."""

_base_ = './nwucla_xview.py'
num_classes = 37
dataset = dict(data=['data/nwucla', 'data/utdmhad'], split=['xview', 'xsub'])
