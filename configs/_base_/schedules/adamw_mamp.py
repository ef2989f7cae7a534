"""The schedule of MAMP. Vectors, such as biases and the weights of norms, do not decay."""

batch_size = 128
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=0.001, betas=(0.9, 0.95), weight_decay=0.05),
    paramwise_cfg=dict(flat_decay_mult=0.0),
)
param_scheduler = dict(type='WarmupCosineLR', warmup=20, eta_min=0.0005)
train_cfg = dict(max_epochs=400)
