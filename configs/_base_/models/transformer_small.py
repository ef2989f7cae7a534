_base_ = './transformer.py'
transformer = dict(model=dict(backbone=dict(out_channels=64, depth=3, num_heads=4)))
