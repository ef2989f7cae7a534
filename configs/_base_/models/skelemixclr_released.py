"""SkeleMixCLR+ as released; every mix is one draw for the batch."""

_base_ = './skelemixclr_plus.py'
model = dict(
    data_preprocessor=dict(views=dict(mix=dict(skelemix=dict(units=(7, 11), per='batch')))),
    projector=dict(bias=True),
    key_init='independent',
)
