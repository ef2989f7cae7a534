"""ST-GCN++ on clips in body coordinates, which do not depend on the height of the camera."""

_base_ = ['./stgcn_nwucla_xview.py', '../_base_/pipelines/clean_centred.py', '../_base_/models/stgcnpp.py']
_base_.merge(_base_.pop('clean'))
_base_.merge(_base_.pop('stgcnpp'))
