_base_ = [
    '../_base_/datasets/nwucla_xview.py',
    '../_base_/models/skeattnclr_small.py',
    '../_base_/schedules/adamw_small.py',
    '../_base_/small_runtime.py',
]
model = dict(data_preprocessor=dict(views=dict(mix=dict(skelemix=dict(units=(2, 4))))))  # of 8: the paper's share
