"""Linear evaluation as in the paper; the spread over five probe seeds is reported beside the first one's numbers."""

type = 'LinearProbe'
epochs = 100
lr = 3.0
milestones = (60,)
gamma = 0.1
momentum = 0.9
weight_decay = 0.0
batch_size = 128
probe_seeds = 5
