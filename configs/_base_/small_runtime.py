"""The default runtime with a key encoder that follows within a few epochs of a small set.

Fine-tuning uses AdamW with cosine decay, as the pre-training does. The paper's schedule, SGD at 0.05 until
the training loss stalls, is for sets forty times as large: on a thousand clips the loss does not stall.
"""

_base_ = './default_runtime.py'
default_hooks = dict(momentum=dict(base_momentum=0.95))
evaluation = dict(interval=10)
protocols = {
    name: dict(
        batch_size=32,
        optim_wrapper=dict(
            type='AutocastOptimWrapper',
            optimizer=dict(_delete_=True, type='AdamW', lr=0.0005, weight_decay=0.01),
        ),
        param_scheduler=dict(_delete_=True, type='CosineAnnealingLR'),
        train_cfg=dict(max_epochs=60),
    )
    for name in ('finetune', 'semi01', 'semi10')
}
