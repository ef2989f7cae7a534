"""For sets of a thousand clips, too few steps for SGD: AdamW, small batches, cosine decay to the last epoch.

The mask learns many times slower than the encoder. Query and key share it, so a mask that changes fast
identifies a clip by itself: L_s and L_ns then fall far below L_global, and the encoder learns nothing from them.
"""

batch_size = 32
optim_wrapper = dict(
    type='AutocastOptimWrapper',
    optimizer=dict(type='AdamW', lr=0.002, weight_decay=0.01),
    paramwise_cfg=dict(custom_keys={'mhsam': dict(lr_mult=0.03)}),
)
param_scheduler = dict(type='CosineAnnealingLR')
train_cfg = dict(max_epochs=30)
