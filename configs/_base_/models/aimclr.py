"""AimCLR: an extremely augmented view follows the query, in full and with its most prominent parts dropped.

The temporal flip is one of the paper's eight operations; the release omits it.
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
