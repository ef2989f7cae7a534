"""The schedule of STARS: a constant rate, lower in each layer than in the next."""

batch_size = 128
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=0.001, betas=(0.9, 0.95), weight_decay=0.01),
    paramwise_cfg=dict(layer_decay=0.45),
    clip_grad=dict(type='each', max_norm=3.0),
)
train_cfg = dict(max_epochs=10)
