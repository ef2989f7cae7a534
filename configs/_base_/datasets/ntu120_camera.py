"""NTU RGB+D 120, cameras 2 and 3 train: what the SkeAttnCLR release ran as its second split, in place of xset."""

_base_ = './ntu120_xsub.py'
dataset = dict(split='camera')
