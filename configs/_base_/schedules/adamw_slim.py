"""The schedule of SLiM, for epochs of the set; its own have 1250 iterations, whatever the set.

Vectors do not decay; the embedding of patches learns slowly, the prototypes from the second epoch on.
"""

_base_ = './adamw_mamp.py'
batch_size = 768
optim_wrapper = dict(
    optimizer=dict(lr=0.0001732, betas=(0.9, 0.999), weight_decay=0.04),
    paramwise_cfg=dict(
        layer_decay=1.0,
        custom_keys={
            'embed.weight': dict(lr_mult=0.2),
            'embed.bias': dict(lr_mult=0.2, decay_mult=0.0),
            'prototypes': dict(held=1),
        },
    ),
    clip_grad=dict(type='part', max_norm=3.0),
)
param_scheduler = [
    dict(type='WarmupCosineLR', warmup=20, eta_min=1e-6),
    dict(type='CosineWeightDecay', last=0.2),
]
train_cfg = dict(max_epochs=150)
