"""32 frames, as in docs/results. Merged over a data set by `_base_.merge(_base_.pop('short'))`, as clean.py."""

short = dict(dataset=dict(pipeline=dict(resample=dict(num_frames=32))))
