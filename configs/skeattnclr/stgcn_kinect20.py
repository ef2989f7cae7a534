"""One encoder for both small sets, of as many clips as NW-UCLA's; `tools/test.py --dataset` evaluates it on each."""

_base_ = [
    '../_base_/datasets/kinect20.py',
    '../_base_/models/skeattnclr_small.py',
    '../_base_/schedules/adamw_small.py',
    '../_base_/small_runtime.py',
    '../_base_/recipes/nwucla.py',
]
_base_.merge(_base_.pop('recipe'))
train_cfg = dict(max_epochs=41)
