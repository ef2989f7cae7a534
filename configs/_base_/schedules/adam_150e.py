"""PSTL's schedule: Adam with the decay in the gradient; the first of ten epochs of warm-up has learning rate 0."""

batch_size = 128  # of all processes together
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=0.005, weight_decay=1e-5),
)
param_scheduler = dict(type='WarmupCosineLR', warmup=10, eta_min=0, by_epoch=True)
train_cfg = dict(max_epochs=150)
