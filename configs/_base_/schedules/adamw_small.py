"""For sets of a thousand clips, too few steps for SGD: AdamW, small batches, cosine decay to the last epoch."""

batch_size = 32
optim_wrapper = dict(
    type='AutocastOptimWrapper',
    optimizer=dict(type='AdamW', lr=0.002, weight_decay=0.01),
)
param_scheduler = dict(type='CosineAnnealingLR')
train_cfg = dict(max_epochs=30)
