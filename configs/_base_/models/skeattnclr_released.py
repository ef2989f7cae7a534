"""SkeAttnCLR as released: three predictors on the query side, mixed clips that are projected but not used."""

_base_ = './skeattnclr_paper.py'
model = dict(
    data_preprocessor=dict(views=dict(mix=dict(skelemix=dict(per='batch')))),
    heads='released',
    project_mix=True,
    key_init='independent',
)
