"""SkeAttnCLR on the backbone beside this file."""

_base_ = '../../configs/skeattnclr/stgcn_demo.py'
custom_imports = dict(imports=['projects.example_backbone.joint_tcn'])
model = dict(backbone=dict(_delete_=True, type='JointTCN', widths=(16, 32, 64)))
