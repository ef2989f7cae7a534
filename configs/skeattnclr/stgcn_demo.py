"""SkeAttnCLR in three minutes: the mixing is weaker than the paper's, which needs a longer training."""

_base_ = [
    '../_base_/datasets/demo_xsub.py',
    '../_base_/models/skeattnclr_small.py',
    '../_base_/schedules/adamw_small.py',
    '../_base_/small_runtime.py',
    '../_base_/demo.py',
]
_base_.merge(_base_.pop('demo'))
model = dict(
    mhsam=dict(num_heads=2),
    data_preprocessor=dict(views=dict(mix=dict(skelemix=dict(parts=(1, 2), units=(1, 3))))),
)
