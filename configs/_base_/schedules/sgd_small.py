"""For sets of a thousand clips: many small steps, since at batch 128 an epoch has only a handful."""

batch_size = 32
optim_wrapper = dict(
    type='AutocastOptimWrapper',
    optimizer=dict(type='SGD', lr=0.05, momentum=0.9, weight_decay=1e-4),
)
param_scheduler = dict(type='MultiStepLR', milestones=[100], gamma=0.1)
train_cfg = dict(max_epochs=120)
