"""The target of Skeleton2vec, with its last learning rate; its 800 epochs are `train_cfg.max_epochs=800`."""

_base_ = [
    '../_base_/datasets/ntu60_xsub.py',
    '../_base_/pipelines/translated.py',
    '../_base_/models/mamp_latent.py',
    '../_base_/schedules/adamw_mamp.py',
    '../_base_/mamp_latent_runtime.py',
]
_base_.merge(_base_.pop('translated'))
param_scheduler = dict(eta_min=1e-5)
optim_wrapper = dict(clip_grad=dict(max_norm=4))
