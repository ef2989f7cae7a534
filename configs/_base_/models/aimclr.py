"""AimCLR: an extremely augmented view, plain and with its most attended parts dropped, follows the query."""

_base_ = ['./stgcn_moco.py', './extreme.py']
model = dict(
    type='AimCLR',
    data_preprocessor=dict(views=dict(extreme=_base_.pop('extreme'))),
    attention_drop=dict(type='AttentionDrop', threshold=0.7, e_lambda=1e-4),
    top_k=1,
)
