"""Fine-tuning of encoder and classifier on all labels as in the paper; epochs, batch and clean clips as released."""

type = 'Finetune'
labels = 1.0
labels_seed = 0
mode = 'train'
batch_size = 128
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.05, momentum=0.9))
param_scheduler = dict(type='ReduceOnPlateauLR', factor=0.1, patience=10)
train_cfg = dict(max_epochs=150)
views = dict(query=dict())
interval = 5
heldout = 0.2
