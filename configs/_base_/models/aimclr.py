"""AimCLR: an extremely augmented view, plain and with its most attended parts dropped, follows the query.

The temporal flip is the eighth of the paper's operations, which the release leaves out.
"""

_base_ = ['./stgcn_moco.py', './extreme.py']
model = dict(
    type='AimCLR',
    data_preprocessor=dict(
        views=dict(extreme=dict(**_base_.pop('extreme'), temporal_flip=dict(type='TemporalFlip', probability=0.5))),
    ),
    attention_drop=dict(type='AttentionDrop', threshold=0.7, e_lambda=1e-4),
    top_k=1,
)
