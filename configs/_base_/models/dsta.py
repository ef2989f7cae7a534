"""The transformer in place of a method's ST-GCN; merged over its config by `_base_.merge(_base_.pop('dsta'))`.

The widths are those of DSTA's NTU configs, the attention between frames SkeAttnCLR's.
"""

dsta = dict(model=dict(backbone=dict(_delete_=True, type='DSTA')))
