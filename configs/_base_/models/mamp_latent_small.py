_base_ = './mamp_small.py'
model = dict(target='latent')
