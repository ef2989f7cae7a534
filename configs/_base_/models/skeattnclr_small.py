"""SkeAttnCLR for sets of a thousand clips: a narrow encoder without dropout, a queue well below the set.

A queue as long as the set holds every clip's own key as a negative. Convolutions start as PyTorch's, not at the
release's N(0, 0.02): AdamW's steps do not shrink with the weights. The mask starts as released, close to 0.5.
"""

_base_ = './skeattnclr.py'
model = dict(
    backbone=dict(base_channels=16, out_channels=128, dropout=0.0),
    queue=dict(size=256),
    loss=dict(temperature=0.1),
    init_cfg=None,
    mhsam=dict(init_cfg=dict(type='Normal', layer='Linear', std=0.02)),
)
