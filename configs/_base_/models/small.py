"""For sets of a thousand clips: a narrow encoder without dropout, for any method.

Convolutions have PyTorch's initialisation, not the release's N(0, 0.02): AdamW's steps do not shrink with the weights.

mmengine refuses two bases that both set `model`, so these settings are in a variable; a config that lists
this base beside a method's merges them by `_base_.merge(_base_.pop('small'))`.
"""

small = dict(model=dict(backbone=dict(out_channels=128, dropout=0.0), init_cfg=None))
