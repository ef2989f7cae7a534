_base_ = './bigru.py'
bigru = dict(model=dict(backbone=dict(hidden_channels=128), projector=dict(hidden_channels=256)))
