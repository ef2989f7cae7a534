"""Linear evaluation of MAMP: BatchNorm without scale and shift in front, SGD with lr 0.1, cosine decay in each step.

The clips are clean and their features are extracted once; the release augments them as in training.
"""

type = 'LinearProbe'
epochs = 100
lr = 0.1
schedule = 'cosine'
momentum = 0.9
weight_decay = 0.0
batch_size = 256
batch_norm = True
init_std = 0.01
