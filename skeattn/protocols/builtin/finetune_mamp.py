"""Fine-tuning of MAMP: a classifier with a hidden layer on all joints, rates that fall from layer to layer.

For a SkeletonTransformer. Clips are augmented as in the pre-training.
"""

_base_ = './finetune.py'
batch_size = 48
head = dict(type='MLPHead', hidden_channels=2048, dropout=0.3, readout='joints')
label_smoothing = 0.1
backbone_changes = dict(drop_path=0.3)
views = dict(
    query=dict(
        crop=dict(type='CropResize', share=(0.5, 1.0)),
        rotation=dict(type='RandomRotation'),
    ),
)
optim_wrapper = dict(
    optimizer=dict(_delete_=True, type='AdamW', lr=0.0003, weight_decay=0.05),
    paramwise_cfg=dict(layer_decay=0.8, flat_decay_mult=0.0),
)
param_scheduler = dict(_delete_=True, type='WarmupCosineLR', warmup=5, eta_min=1e-5)
train_cfg = dict(max_epochs=100)
