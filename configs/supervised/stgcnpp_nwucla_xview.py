"""ST-GCN++ on clips in the body's frame, which the height of the camera does not change."""

_base_ = ['./stgcn_nwucla_xview.py', '../_base_/pipelines/clean_centred.py', '../_base_/models/stgcnpp.py']
_base_.merge(_base_.pop('clean'))
_base_.merge(_base_.pop('stgcnpp'))
