"""Linear evaluation as in the paper."""

type = 'LinearProbe'
epochs = 100
lr = 3.0
milestones = (60,)
gamma = 0.1
momentum = 0.9
weight_decay = 0.0
batch_size = 128
