"""A projector that costs less than the narrow encoder, with a weight of the redundancy terms that fits its width."""

_base_ = ['./pstl.py', './small.py']
_base_.merge(_base_.pop('small'))
model = dict(projector=dict(hidden_channels=512, out_channels=512), redundancy_weight=2.5e-3)
