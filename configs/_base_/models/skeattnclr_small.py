"""The mask starts as released, close to 0.5. The mixing is the paper's: 4 to 7 of 16 units.

Negatives are matched. With the paper's, from the queue, a mask that learns as fast as the encoder identifies a clip by
itself: L_s and L_ns then fall far below L_global, and the encoder learns nothing from them.
"""

_base_ = ['./skeattnclr.py', './small_moco.py']
_base_.merge(_base_.pop('small'))
model = dict(
    data_preprocessor=dict(views=dict(mix=dict(skelemix=dict(units=(0.25, 0.44))))),
    mhsam=dict(init_cfg=dict(type='Normal', layer='Linear', std=0.02)),
    negatives='matched',
)
