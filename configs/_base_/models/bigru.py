"""BIGRU in place of a method's ST-GCN; merged over its config by `_base_.merge(_base_.pop('bigru'))`."""

bigru = dict(
    model=dict(
        backbone=dict(_delete_=True, type='BIGRU', hidden_channels=1024, num_layers=3),
        projector=dict(hidden_channels=1024),
    ),
)
